"""Does another commit of this project give the same bits? Trains small runs with each of two checkouts, and compares what they left.

    python tests/golden.py make CHECKOUT FOLDER     # photographs (once) and runs of this checkout below FOLDER
    python tests/golden.py compare FOLDER FOLDER    # weights, curves, logits, splits, answers: equal, or where not
    python tests/golden.py resume OLD NEW FOLDER    # runs that OLD began and NEW ended, beside those of OLD alone

The photographs are drawn once, by the checkout that runs first, beside FOLDER (`golden-photographs`):
give folders that have one parent, and both checkouts learn from the same files, whatever each would
draw itself.

Not a test: byte for byte the same is what one machine promises, so both checkouts have to be run on it.
"""
import argparse
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

TINY = dict(scale='smoke', workers=0)
HARD = dict(
    arch='resnet18', sampler='balanced', batch_size=7, accumulate=2, hard_memory=20, hard_ratio=0.2,
    ema=0.9)
RUNS = dict(
    baseline=dict(version='baseline'),
    v3=dict(version='v3', arch='resnet18'),
    v5=dict(version='v5', arch='resnet50'),
    grown=dict(version='d_melting', arch='resnet18'),
    hard=dict(version='v2', **HARD),
    mixed=dict(version='d_cutmix', arch='resnet18'),
)
FOLDED = dict(version='baseline', arch='resnet18', folds=2, **TINY)
FILES = ('history.csv', 'split.csv', 'best.safetensors', 'submission.csv', 'oof.csv', 'answers.csv')
ARRAYS = ('valid.npz', 'test.npz', 'oof.npz')

WORK = f'''
import json, sys
from pathlib import Path
from rock_nb.data.synthetic import make
from rock_nb.train import fit
from rock_nb.folds import fit_folds
from rock_nb.ensemble import ensemble
from rock_nb.predict import main as predict
data, out = Path(sys.argv[1]), Path(sys.argv[2])
if not data.exists(): make(data, n=112, n_test=21, size=(40, 60))
how = dict(data=str(data), out=str(out), show=lambda *a: None)
for name, given in {RUNS!r}.items(): print(name, flush=True); fit(run=name, **how, **({TINY!r} | given))
fit_folds(run='each', **how, **{FOLDED!r})
ensemble('baseline,v5', out=str(out), name='vote')
predict([str(data/'test'), '--run', 'v3', '--out', str(out), '--csv', str(out/'v3'/'answers.csv')])
'''

# runs with two epochs at least, so that they can be stopped after one
RESUMED = dict(
    baseline=dict(version='baseline', epochs=2, seed=41),
    v3=dict(version='v3', arch='resnet18', epochs=4),
    grown=dict(version='d_melting', arch='resnet18', epochs=3),
    hard=dict(version='v2', epochs=2, **HARD))

BEGIN_OR_END = f'''
import sys
from rock_nb.train import fit
data, out, stop = sys.argv[1], sys.argv[2], sys.argv[3] == 'stop'
class Stop(Exception): pass
def show(*a):
    if stop: raise Stop
for name, given in {RESUMED!r}.items():
    print(name, flush=True)
    try: fit(run=name, data=data, out=out, show=show, **({TINY!r} | given))
    except Stop: pass
'''


def run_code(checkout: Path, code: str, *words: str) -> None:
    "Run Python with the package of a checkout."
    env = os.environ | dict(PYTHONPATH=str(checkout.resolve()), OMP_NUM_THREADS='1')
    subprocess.run([sys.executable, '-c', code, *words], cwd=checkout, env=env, check=True)


def resume(old: Path, new: Path, folder: Path) -> int:
    "Runs that one checkout began and another ended, compared with those of the first alone."
    data = str(folder.resolve().parent / 'golden-photographs')
    whole, mixed = (str(folder.resolve() / name / 'runs') for name in ('whole', 'mixed'))
    run_code(old, BEGIN_OR_END, data, whole, 'end')
    run_code(old, BEGIN_OR_END, data, mixed, 'stop')
    begun = {
        name: len((Path(mixed) / name / 'history.csv').read_text().splitlines()) - 1
        for name in RESUMED}
    print('epochs of the first checkout:', begun)
    run_code(new, BEGIN_OR_END, data, mixed, 'end')
    return compare(folder / 'whole', folder / 'mixed')


def make(checkout: Path, folder: Path) -> None:
    "Train the runs of `RUNS`, folds and an ensemble with the code of a checkout."
    env = os.environ | dict(PYTHONPATH=str(checkout.resolve()), OMP_NUM_THREADS='1')
    out = folder / 'runs'
    out.mkdir(parents=True, exist_ok=True)
    data = folder.resolve().parent / 'golden-photographs'
    subprocess.run(
        [sys.executable, '-c', WORK, str(data), str(out.resolve())], cwd=checkout, env=env,
        check=True)


# columns that one checkout writes and another doesn't
DOUBTS = ('calibrated', 'set', 'unlike', 'distance_quantile')


def bits(file: Path):
    """What of a file is compared: the bytes of each array of an .npz, of answers the columns that
    every checkout writes, the bytes of others."""
    if file.name == 'answers.csv':
        with open(file, newline='') as f:
            rows = [{k: v for k, v in row.items() if k not in DOUBTS} for row in csv.DictReader(f)]
        return rows
    if file.suffix != '.npz': return file.read_bytes()
    with np.load(file) as z:
        return {k: (z[k].dtype.str, z[k].shape, z[k].tobytes()) for k in sorted(z.files)}


def recipe_of(run: Path) -> dict:
    "The resolved recipe of a run folder, or what it was made of."
    return json.loads((run / 'recipe.json').read_text())


def compare(first: Path, second: Path) -> int:
    "Print what differs between the runs of two folders; the number of differences."
    n = 0
    names = sorted(
        {
            p.name for f in (first, second) for p in (f / 'runs').iterdir()
            if (p / 'metrics.json').exists()})
    for name in names:
        a, b = (f / 'runs' / name for f in (first, second))
        there = [f for f in (*FILES, *ARRAYS) if (a / f).exists() or (b / f).exists()]
        odd = [
            f for f in there
            if not ((a / f).exists() and (b / f).exists() and bits(a / f) == bits(b / f))]
        known = [recipe_of(r).get('recipe', {}) for r in (a, b)]
        fields = [k for k in known[0] if k in known[1] and known[0][k] != known[1][k]]
        lost = sorted(known[0].keys() ^ known[1].keys())
        print(
            f"{name:12} {len(there) - len(odd)} of {len(there)} files equal"
            + f"{'; differ: ' + ', '.join(odd) if odd else ''}{'; recipe fields differ: ' + ', '.join(fields) if fields else ''}"
            + f"{'; fields of one alone: ' + ', '.join(lost) if lost else ''}")
        n += len(odd) + len(fields)
    print('equal' if not n else f'{n} differences')
    return n


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('what', choices=['make', 'compare', 'resume'])
    p.add_argument('first', type=Path)
    p.add_argument('second', type=Path)
    p.add_argument('folder', type=Path, nargs='?', help='of resume')
    given = p.parse_args()
    if given.what == 'resume':
        if given.folder is None: p.error('resume takes OLD NEW FOLDER')
        return int(bool(resume(given.first, given.second, given.folder)))
    return (
        int(bool(compare(given.first, given.second))) if given.what == 'compare'
        else make(given.first, given.second) or 0)


if __name__ == '__main__': sys.exit(main())
