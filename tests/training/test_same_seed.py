"""The same seed gives the same history and the same weights: twice, in the notebook, under papermill and from Python, with 0, 1 or 3 loader workers."""
import pytest

from conftest import ROOT, TINY, flags, shell
from rock_nb.core import Run
from rock_nb.train import fit

pytestmark = [pytest.mark.processes, pytest.mark.slow]

GIVEN = {**TINY, 'version': 'v3', 'epochs': 3, 'augment': 'v2', 'run': 'same'}


def by_python(out, data, **more): return fit(**GIVEN, data=data, out=out, **more)


def by_papermill(out, data, **more):
    r = shell(
        'papermill', 'nbs/03_train.ipynb', out / 'o.ipynb',
        *flags({**GIVEN, 'data': data, 'out': out, **more}, papermill=True))
    assert r.returncode == 0, r.stderr[-2000:]
    return Run(out / 'same')


def by_notebook(out, data, **more):
    "As JupyterLab does it: in a kernel that starts in nbs/, values typed into the cell of parameters."
    import nbformat
    from nbclient import NotebookClient
    nb = nbformat.read(ROOT / 'nbs' / '03_train.ipynb', 4)
    cell = next(c for c in nb.cells if 'parameters' in c.metadata.get('tags', []))
    cell.source += ''.join(
        f'\n{k} = {v!r}' for k, v in {**GIVEN, 'data': str(data), 'out': str(out), **more}.items())
    NotebookClient(nb, timeout=600, resources=dict(metadata=dict(path=str(ROOT / 'nbs')))).execute()
    return Run(out / 'same')


def by_shell(out, data, **more):
    r = shell(
        'python', '-m', 'rock_nb.train', *flags({**GIVEN, 'data': data, 'out': out, **more}),
        cwd=out)
    assert r.returncode == 0, r.stderr[-2000:]
    return Run(out / 'same')


@pytest.fixture(scope='module')
def first(sample, tmp_path_factory):
    run = by_python(tmp_path_factory.mktemp('first'), sample, workers=0)
    return run.history.read_bytes(), run.best.read_bytes(), run.test.read_bytes()


@pytest.mark.parametrize('way, workers', [(by_python, 0), (by_python, 1), (by_python, 3), (by_papermill, 2), (by_notebook, 0), (by_shell, 1)],
                         ids=lambda x: getattr(x, '__name__', x))
def test_same_bits(way, workers, sample, first, tmp_path):
    run = way(tmp_path, sample, workers=workers)
    assert run.history.read_bytes() == first[0]
    assert run.best.read_bytes() == first[1]
    assert run.test.read_bytes() == first[2]


def test_another_seed_is_another_run(sample, first, tmp_path):
    assert fit(**GIVEN, data=sample, out=tmp_path, seed=42, workers=0).best.read_bytes() != first[1]
