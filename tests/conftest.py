"""What the tests share: generated images, a folder of real ones where there is one, short ways to run things, and marks.

`tests/<wing>/` holds the tests of a wing; `cli`, `faults` and `browser` go through several. `tests/helpers/` is importable from all.
"""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

# several tests at once: threads that wait for each other on few cores cost more than they give
if 'PYTEST_XDIST_WORKER' in os.environ:
    os.environ.setdefault('OMP_NUM_THREADS', '1')

import pytest

from disks import disk                              # noqa: F401
from servers import no_queue_of_ones_own, server    # noqa: F401
from slurm_cluster import slurm                     # noqa: F401

ROOT = Path(__file__).resolve().parents[1]
# holds images/<class>/… and folds.csv
PHOTOS = Path(os.environ.get('ROCK_NB_PHOTOS', ROOT.parent / 'shared' / 'rocks'))
TINY = dict(arch='test_resnet', pretrained=False, img_size=32, batch_size=8, scale='smoke')
QUICK = {**TINY, 'epochs': 1, 'workers': 0}
# a module of labels with attributes, and of labels that are shifted
ATTRIBUTES = '''
NAMES = ['Andesite', 'Basalt', 'Etc', 'Gneiss', 'Granite', 'Mud_Sandstone', 'Weathered_Rock']
def label(path):
    n = NAMES.index(path.split('/')[-2])
    return dict(label=NAMES[n], colour=n // 3, grain='abc'[n % 3])
def younger(row): return 'Basalt' if row['label'] == 'Andesite' and row['path'].endswith('0.jpg') else row['label']
'''


def shell(*command, cwd=ROOT, stdout=None, timeout=600, **env) -> subprocess.CompletedProcess:
    "Run a command of the project's environment; its output as text."
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [str(c) for c in command], cwd=cwd, text=True, timeout=timeout, stderr=subprocess.PIPE,
        stdout=stdout or subprocess.PIPE, env={**os.environ, 'PATH': path, **env})


def flags(given: dict, papermill: bool = False) -> list[str]:
    "Parameters as words of a command line: `--name value`, or `-p name value` for papermill."
    return [
        w for k, v in given.items()
        for w in (['-p', k, str(v)] if papermill else [f'--{k}', str(v)])]


def kill_when(command, cwd, ready, seconds=240):
    """Start a command in its own process group, SIGKILL all of it once `ready()`; whether it was
    still at work then."""
    p = subprocess.Popen(
        [str(c) for c in command], cwd=cwd, start_new_session=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    end = time.time() + seconds
    while not ready() and p.poll() is None and time.time() < end: time.sleep(.02)
    alive = p.poll() is None
    os.killpg(p.pid, signal.SIGKILL) if alive else None
    p.wait()
    return alive and ready()


@pytest.fixture(scope='session')
def sample(tmp_path_factory) -> Path:
    "A small generated data set in the contest's layout."
    from rock_nb.data.synthetic import make
    return make(tmp_path_factory.mktemp('data') / 'sample', n=84, n_test=21, size=(40, 60))


@pytest.fixture(scope='session')
def photos() -> Path:
    """Real photographs: ROCK_NB_PHOTOS names a folder with images/<class>/… and folds.csv
    (path,class,group,fold)."""
    if not (PHOTOS / 'folds.csv').exists():
        pytest.skip(
            f'no real photographs in {PHOTOS}; set ROCK_NB_PHOTOS to a folder with images/<class>/ '
            'and folds.csv'
        )
    return PHOTOS


# what a fixture needs, whoever uses it
NEEDS = dict(
    server=['redis'], slurm=['processes'], disk=['root'], hosts=['root', 'processes'], lab=['browser', 'processes'])


# files in the order of what they cost, the longest first: none of them begins last. Those that
# mostly wait stand beside those that compute. The others follow in the order of their names.
LONGEST = [
    'test_hosts', 'test_kill', 'test_photographs', 'test_queue', 'test_launch', 'test_sweep_queue',
    'test_same_seed', 'test_pipeline', 'test_folds_sweep', 'test_models', 'test_notes', 'test_browser']
# each of their tests may run beside the others: they share nothing that costs
DIVIDED = ['test_kill']


def pytest_collection_modifyitems(items: list):
    "Mark tests by the fixtures that they use; files that take long begin."
    for item in items:
        for fixture, marks in NEEDS.items():
            if fixture in item.fixturenames:
                for mark in marks: item.add_marker(mark)
    order = {name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda i: order.get(i.path.stem, len(order)))


def pytest_xdist_make_scheduler(config, log):
    """`--dist loadfile`: the tests of a file share a process and its fixtures, but for those of
    `DIVIDED`. Marks of groups say nothing to pytest-xdist 3.8 under pytest 9.2."""
    if config.getvalue('dist') != 'loadfile': return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return nodeid if Path(file).stem in DIVIDED else file
    return Scheduling(config, log)
