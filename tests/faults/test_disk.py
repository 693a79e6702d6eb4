"""A disk that is full or read-only: one sentence, nothing lost, and the run goes on to the same bits once there is room."""
import subprocess

import pytest

from conftest import TINY
from disks import mount
from rock_nb.core import BadInput, Run
from rock_nb.jobs.worker import Worker
from rock_nb.queue import open_queue, publish
from rock_nb.train import fit

GIVEN = {**TINY, 'epochs': 3, 'every': 0., 'workers': 0, 'run': 'small'}


def test_full_disk(disk, sample, tmp_path, monkeypatch):
    whole = fit(**GIVEN, data=sample, out=tmp_path / 'whole')
    (disk / 'ballast').write_bytes(bytes(1_500_000))
    with pytest.raises(BadInput) as e: fit(**GIVEN, data=sample, out=disk)
    assert 'cannot be written (No space left on device)' in str(e.value) and 'make room' in str(
        e.value)
    run = Run(disk / 'small')
    assert not run.done and not list(run.path.glob('.*.tmp'))
    # as a job
    monkeypatch.setenv('ROCK_QUEUE_PATHS', str(tmp_path.parent.parent))
    queue = open_queue(folder=tmp_path / 'queue')
    [job] = publish(queue, **GIVEN, data=str(sample), out=str(disk))
    assert Worker(queue, 'once', lambda *_: None).run() == 'nothing left'
    found = queue.find(job.id)
    assert (found.state, found.attempts) == ('failed', 1) and 'No space left' in found.error
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
