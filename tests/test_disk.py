"""A disk that is full or read-only: one sentence, nothing lost, and the run goes on to the same bits once there is room."""
import os
import subprocess

import pytest

from conftest import TINY
from rock_nb.core import BadInput, Run
from rock_nb.train import fit

GIVEN = {**TINY, 'arch': 'test_resnet', 'epochs': 3, 'every': 0., 'workers': 0, 'run': 'small'}


def mount(*words):
    return subprocess.run(['mount', *map(str, words)], capture_output=True, text=True)


@pytest.fixture
def disk(tmp_path):
    "A disk of 4 MB in memory: room for one checkpoint, not for two."
    place = tmp_path / 'disk'
    place.mkdir()
    done = mount('-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', place)
    if done.returncode:
        (pytest.fail if os.environ.get('CI') else pytest.skip)(
            f'no disk can be mounted here: {done.stderr.strip()}')
    yield place
    subprocess.run(['umount', '-l', str(place)], check=True)


def test_full_disk(disk, sample, tmp_path):
    whole = fit(**GIVEN, data=sample, out=tmp_path / 'whole')
    (disk / 'ballast').write_bytes(bytes(1_500_000))
    with pytest.raises(BadInput) as e: fit(**GIVEN, data=sample, out=disk)
    assert 'cannot be written (No space left on device)' in str(e.value) and 'make room' in str(
        e.value)
    run = Run(disk / 'small')
    assert not run.done and not list(run.path.glob('.*.tmp'))
    (disk / 'ballast').unlink()
    mount('-o', 'remount,size=64m', disk)
    assert fit(**GIVEN, data=sample, out=disk).done
    for f in ('history', 'best', 'valid', 'test'):
        assert getattr(run, f).read_bytes() == getattr(whole, f).read_bytes()


def test_disk_that_becomes_read_only(disk, sample):
    mount('-o', 'remount,size=64m', disk)
    # lies over the run folder
    def lock(history, classes): mount('-t', 'tmpfs', '-o', 'ro', 'tmpfs', disk / 'small')
    with pytest.raises(BadInput, match='cannot be written .*Read-only file system'):
        fit(**GIVEN, data=sample, out=disk, show=lock)
    subprocess.run(['umount', disk / 'small'], check=True)
    assert fit(**GIVEN, data=sample, out=disk).done


def test_read_only_folder(disk, sample):
    mount('-o', 'remount,ro', disk)
    with pytest.raises(BadInput, match="can't be (made|written to)"):
        fit(**GIVEN, data=sample, out=disk)
