"""A run or a pipeline that was killed goes on where it stopped; one that is complete ends in seconds."""
import sys

import pandas as pd
import pytest

from conftest import TINY, flags, kill_when, shell
from rock_nb.core import Run
from rock_nb.train import fit

pytestmark = [pytest.mark.processes, pytest.mark.slow]

GIVEN = {**TINY, 'version': 'v3', 'epochs': 6, 'run': 'killed', 'workers': 1}


def epochs_of(run: Run) -> int:
    return len(pd.read_csv(run.history)) if run.history.exists() else 0


def test_killed_training_goes_on_to_the_same_bits(sample, tmp_path):
    whole = fit(**GIVEN, data=sample, out=tmp_path / 'whole')
    run = Run(tmp_path / 'torn' / 'killed')
    command = [
        sys.executable, '-m', 'rock_nb.train',
        *flags({**GIVEN, 'data': sample, 'out': run.path.parent})]
    assert kill_when(command, tmp_path, lambda: epochs_of(run) >= 2)
    assert not run.done and 2 <= epochs_of(run) < 6
    assert fit(**GIVEN, data=sample, out=run.path.parent).done
    for file in ('history', 'best', 'valid', 'test'):
        assert getattr(run, file).read_bytes() == getattr(whole, file).read_bytes()


def test_killed_pipeline_goes_on(sample, tmp_path):
    (tmp_path / 'rules.py').write_text('def kind(path): return path.split("/")[-2].upper()\n')
    train = dict(
        data=sample, scale='smoke', arch='test_resnet', pretrained=False, level=-1)
    given = train | dict(
        versions='baseline v1', jobs=2, out=tmp_path / 'runs', label='rules.py:kind')
    command = [sys.executable, '-m', 'rock_nb.pipeline', *flags(given)]
    eda = tmp_path / 'runs' / 'eda' / 'eda.ipynb'
    assert kill_when(command, tmp_path, eda.exists)
    looked = eda.stat().st_mtime_ns

    r = shell(*command, cwd=tmp_path)
    assert r.returncode == 0, r.stderr[-2000:]
    assert (
        eda.stat().st_mtime_ns == looked and '01_eda eda' in r.stdout.splitlines()[0]
        and 'complete' in r.stdout.splitlines()[0])
    runs = tmp_path / 'runs'
    assert all(
        (runs / p).exists()
        for p in (
            'baseline/train.ipynb', 'baseline/confusion.ipynb', 'baseline/augment.ipynb',
            'ensemble/submission.csv'))
    assert 'GRANITE' in set(pd.read_csv(runs / 'ensemble' / 'submission.csv').iloc[:, 1]) | set(
        pd.read_csv(runs / 'baseline' / 'split.csv').label)

    # beside each other they give what each gives alone
    label = f"{tmp_path / 'rules.py'}:kind"
    alone = fit('v1', **train, label=label, out=tmp_path / 'alone', run='v1', show=lambda *_: None)
    for file in ('history', 'best', 'valid', 'test'):
        assert getattr(alone, file).read_bytes() == getattr(Run(runs / 'v1'), file).read_bytes()

    stamps = {p: p.stat().st_mtime_ns for p in runs.rglob('*.ipynb')}
    r = shell(*command, cwd=tmp_path)
    assert r.returncode == 0 and r.stdout.count('complete') == len(stamps)
    assert stamps == {p: p.stat().st_mtime_ns for p in runs.rglob('*.ipynb')}


def test_failing_step_ends_the_others_and_names_cell_error_and_way_on(sample, tmp_path):
    (tmp_path / 'runs' / 'baseline' / 'split.csv').mkdir(parents=True)     # in the way of a file
    given = dict(
        versions='v3 baseline', jobs=2, data=sample, out=tmp_path / 'runs', scale='smoke',
        epochs=2000, floor=False, arch='test_resnet', pretrained=False)
    r = shell('python', '-m', 'rock_nb.pipeline', *flags(given))
    assert r.returncode != 0
    assert not Run(tmp_path / 'runs' / 'v3').done, 'the other one was not ended'
    says = r.stderr.strip().splitlines()[-1]
    assert (
        '03_train baseline stopped in cell' in says and 'split.csv cannot be written' in says
        and 'go on with: python -m rock_nb.pipeline' in says)


def test_a_folder_of_another_run_is_refused_before_the_first_step(sample, tmp_path):
    (tmp_path / 'runs' / 'baseline').mkdir(parents=True)
    (tmp_path / 'runs' / 'baseline' / 'recipe.json').write_text('{"recipe": {}}')
    r = shell(
        'python', '-m', 'rock_nb.pipeline',
        *flags(dict(versions='baseline', data=sample, out=tmp_path / 'runs', scale='smoke')))
    says = r.stderr.strip().splitlines()[-1]
    assert r.returncode != 0 and 'baseline holds another run' in says
    assert not list((tmp_path / 'runs').glob('**/*.ipynb')), 'a step was begun'
