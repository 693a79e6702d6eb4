"""03_train as a program: papermill with and without an output path, parameters that take effect, and those that don't exist."""
import json
import re

import nbformat
import pytest

from conftest import ROOT, TINY, flags, shell
from rock_nb.core import Run

FILES = 'recipe environment split history timing best valid test metrics submission'.split()


def check(run: Run, arch: str):
    assert run.done and all(getattr(run, f).exists() for f in FILES), run.path
    assert json.loads(run.recipe.read_text())['recipe']['arch'] == arch


RANDOM = ('RANDOM START: no weights of resnet101 can be had here; good enough for generated '
          'photographs, not for real ones')


def begins(data, run, start: str, epochs: int) -> list[str]:
    "What the terminal shows before a training."
    arch = 'resnet101' if start == RANDOM else 'test_efficientnet'
    return [
        f'data: {data}, 84 generated images of 7 classes (58 train, 26 valid)',
        f'start: {arch}, {start}', f'run: {run}, {epochs} epoch{"s" * (epochs > 1)}']


@pytest.mark.processes
@pytest.mark.slow
def test_output_redirected(sample, tmp_path):
    """`papermill nbs/03_train.ipynb -p arch resnet101 > file`: the record is printed, the run
    folder is complete."""
    small = flags(
        dict(epochs=1, img_size=32, batch_size=16, data=sample, out=tmp_path), papermill=True)
    with open(tmp_path / 'printed.ipynb', 'w') as f:
        r = shell('papermill', 'nbs/03_train.ipynb', '-p', 'arch', 'resnet101', *small, stdout=f)
    assert r.returncode == 0, r.stderr[-2000:]
    run = Run(next(tmp_path.glob('baseline-resnet101*')))
    check(run, 'resnet101')
    assert all(s in r.stderr.splitlines() for s in begins(sample, run.path, RANDOM, 1))
    nbformat.validate(nbformat.read(tmp_path / 'printed.ipynb', 4))


@pytest.mark.processes
@pytest.mark.slow
def test_with_output_path_from_another_folder(sample, tmp_path):
    "The form with an output path; the record holds one live plot, small, and the run's scores."
    shell('nbdev_clean', '--fname', 'nbs/03_train.ipynb')
    given = flags(
        {
            **TINY, 'arch': 'test_efficientnet', 'epochs': 2, 'data': sample,
            'out': tmp_path / 'runs', 'run': 'mine'},
        papermill=True)
    # without this variable ipykernel takes standard error for the page, as it does for users
    r = shell(
        'env', '-u', 'PYTEST_CURRENT_TEST', 'papermill', ROOT / 'nbs' / '03_train.ipynb',
        'record.ipynb', *given, cwd=tmp_path)
    assert r.returncode == 0, r.stderr[-2000:]
    check(Run(tmp_path / 'runs' / 'mine'), 'test_efficientnet')
    nb = nbformat.read(tmp_path / 'record.ipynb', 4)
    page = ''.join(o.get('text', '') for c in nb.cells for o in c.get('outputs', []))
    for says in begins(sample, tmp_path / 'runs' / 'mine', 'random start, as asked for', 2):
        assert r.stderr.count(says) == page.count(says) == 1, (says, r.stderr)
    cell = next(c for c in nb.cells if c.source.startswith('history = train(plan)'))
    pictures = [o for o in cell.outputs if 'image/png' in o.get('data', {})]
    assert len(pictures) == 1 and sum(len(json.dumps(o)) for o in cell.outputs) < 100_000
    assert any('img/s' in json.dumps(o) for o in cell.outputs)   # the progress line's last state


@pytest.mark.processes
@pytest.mark.slow
def test_two_processes(sample, tmp_path):
    "`-p nproc 2`: the notebook draws what two processes do."
    given = flags(
        {
            **TINY, 'arch': 'test_vit', 'epochs': 3, 'data': sample, 'out': tmp_path / 'runs',
            'run': 'two', 'nproc': 2, 'workers': 0},
        papermill=True)
    r = shell('papermill', ROOT / 'nbs' / '03_train.ipynb', 'record.ipynb', *given, cwd=tmp_path)
    assert r.returncode == 0, r.stderr[-2000:]
    run = Run(tmp_path / 'runs' / 'two')
    check(run, 'test_vit')
    assert json.loads(run.environment.read_text())['processes'] == 2
    cell = next(
        c for c in nbformat.read(tmp_path / 'record.ipynb', 4).cells
        if c.source.startswith('history = train(plan)'))
    assert [list(o.get('data', {})) for o in cell.outputs if 'image/png' in o.get('data', {})]


@pytest.mark.parametrize('name, says', [('archh', "unknown parameter 'archh' (did you mean 'arch'?)"), ('epoch', "unknown parameter 'epoch'")])
@pytest.mark.processes
def test_unknown_parameter_fails_at_once(name, says, tmp_path):
    r = shell(
        'papermill', 'nbs/03_train.ipynb', tmp_path / 'o.ipynb', '-p', name, 'x', '-p', 'out',
        tmp_path / 'runs')
    assert r.returncode != 0 and says in r.stderr
    assert not (tmp_path / 'runs').exists()


@pytest.mark.parametrize('notebook', sorted(p.name for p in (ROOT / 'nbs').glob('0[1-9]_*.ipynb')))
def test_numbered_notebooks_have_one_cell_of_parameters(notebook):
    nb = nbformat.read(ROOT / 'nbs' / notebook, 4)
    cells = [c for c in nb.cells if 'parameters' in c.metadata.get('tags', [])]
    assert len(cells) == 1 and nb.metadata.kernelspec.language == 'python'
    # each has a default that says nothing, and help behind it or above
    lines = [l for l in cells[0].source.splitlines() if not l.startswith('#')]
    assert all(re.search('= (None|False) .*#', l) or '= None' in l for l in lines)
