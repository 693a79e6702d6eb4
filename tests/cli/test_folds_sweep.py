"""Folds and sweeps from the shell: killed on the way they go on, complete ones end in seconds."""
import sys

import pandas as pd
import pytest

from conftest import TINY, flags, kill_when, shell
from rock_nb import core
from rock_nb.core import Run
from rock_nb.evaluation.predictions import load_predictions

pytestmark = [pytest.mark.processes, pytest.mark.slow]


def test_killed_folds_go_on(sample, tmp_path):
    out = tmp_path / 'runs'
    command = [
        sys.executable, '-m', 'rock_nb.folds',
        *flags({**TINY, 'folds': 3, 'workers': 0, 'run': 'mine', 'data': sample, 'out': out})]
    assert kill_when(command, tmp_path, Run(out / 'mine-fold0').metrics.exists)
    first = Run(out / 'mine-fold0').metrics.stat().st_mtime_ns
    r = shell(*command, cwd=tmp_path)
    assert r.returncode == 0, r.stderr[-2000:]
    assert (
        '[1/3] mine-fold0 complete' in r.stdout
        and Run(out / 'mine-fold0').metrics.stat().st_mtime_ns == first)

    folder, runs = Run(out / 'mine-folds'), [Run(out / f'mine-fold{k}') for k in range(3)]
    oof = load_predictions(folder.path / 'oof.npz')
    held_out = [p for k in runs for p in load_predictions(k.valid).ids]
    assert (
        sorted(oof.ids) == sorted(held_out) == sorted(set(held_out))
        == list(pd.read_csv(folder.path / 'oof.csv').path))
    assert (
        len(oof) == len(pd.read_csv(runs[0].split)) and folder.submission.exists()
        and (folder.path / 'submission_hard.csv').exists())
    assert f"macro F1 {core.read_json(folder.metrics)['valid']['f1']:.4f} out of fold" in r.stdout

    stamps = {
        p: p.stat().st_mtime_ns for p in out.rglob('*')
        if p.is_file() and not p.name.startswith('.')}
    assert shell(*command, cwd=tmp_path).stdout.count('complete') == 3
    assert {p: p.stat().st_mtime_ns for p in stamps if p.name != 'recipe.json'} == {
        p: t for p, t in stamps.items() if p.name != 'recipe.json'}


def test_sweep_from_the_shell(sample, tmp_path):
    out = tmp_path / 'runs'
    given = dict(
        grid='lr=1e-3,1e-4 smoothing=.1', seeds='41', name='mine', arch='test_resnet',
        pretrained=False, scale='smoke', epochs=1, workers=0, data=sample, out=out)
    command = [sys.executable, '-m', 'rock_nb.sweep', *flags(given)]
    r = shell(*command, cwd=tmp_path)
    assert r.returncode == 0, r.stderr[-2000:]
    assert '2 cells, 1 seeds: 2 runs, 0 of them complete' in r.stdout
    table = pd.read_csv(out / 'mine' / 'sweep.csv')
    assert (
        set(table.lr) == {1e-3, 1e-4} and set(table.smoothing) == {0.1}
        and table.valid_f1.is_monotonic_decreasing and table.test_f1.notna().all())
    assert (out / 'mine' / 'sweep.png').exists() and len(
        list((out / 'mine').glob('*/train.ipynb'))) == 2

    r = shell(*command, cwd=tmp_path)
    assert '2 of them complete' in r.stdout and r.stdout.count('complete\n') == 3

    r = shell(*[w if w != given['grid'] else 'los=ce' for w in command], cwd=tmp_path)
    assert (
        r.returncode != 0
        and "BadInput: unknown field for a grid 'los' (did you mean 'loss'?)" in r.stderr)
