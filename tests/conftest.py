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

ROOT = Path(__file__).resolve().parents[1]
# holds images/<class>/… and folds.csv
PHOTOS = Path(os.environ.get('ROCK_NB_PHOTOS', ROOT.parent / 'shared' / 'rocks'))
TINY = dict(arch='test_resnet', pretrained=False, img_size=32, batch_size=8, scale='smoke')


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
    server=['redis'], disk=['root'], hosts=['root', 'processes'], lab=['browser', 'processes'])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list):
    """Mark tests by the fixtures that they use; tests of one file share a process (`--dist
    loadgroup`) unless they name a group; the slow ones begin."""
    for item in items:
        for fixture, marks in NEEDS.items():
            if fixture in item.fixturenames:
                for mark in marks: item.add_marker(mark)
        if not item.get_closest_marker('xdist_group'):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    slow = {group(i) for i in items if i.get_closest_marker('slow')}
    items.sort(key=lambda i: group(i) not in slow)


def group(item) -> str:
    "The group of a test: those of a group run in one process, one after another."
    return item.get_closest_marker('xdist_group').args[0]
