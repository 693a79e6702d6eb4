"""Photographs without backgrounds: two processes that fill the folder at once, and one that is killed."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import ROOT
from rock_nb.speed.background_cache import background_free
from rock_nb.data.image import read_image

pytestmark = [pytest.mark.processes, pytest.mark.slow]

CODE = (
    'import sys; from rock_nb.speed.background_cache import background_free; '
    'background_free(sys.argv[3:], sys.argv[1], int(sys.argv[2]))')


def start(out: Path, workers: int, files: list[str]) -> subprocess.Popen:
    "Another process that removes backgrounds; it leads a group of its own."
    return subprocess.Popen(
        [sys.executable, '-c', CODE, str(out), str(workers), *files], cwd=ROOT,
        start_new_session=True)


def kept(out: Path) -> dict[str, bytes]:
    "The kept files by name."
    return {
        p.name: p.read_bytes() for p in (out / '.cache').rglob('*.jpg')
        if not p.name.startswith('.')}


def ended(group: int, seconds: float = 30) -> bool:
    "Whether every process of a group ends in time."
    for _ in range(int(seconds * 10)):
        try: os.killpg(group, 0)
        except ProcessLookupError: return True
        time.sleep(.1)
    return False


def test_two_at_once_and_a_kill(sample, tmp_path):
    files = [str(p) for p in sorted((sample / 'train').rglob('*.jpg'))]
    alone = background_free(files, tmp_path / 'alone', workers=0)
    assert len(set(alone)) == len(files)

    pair = [start(tmp_path / 'two', w, files) for w in (0, 2)]
    assert [p.wait(300) for p in pair] == [0, 0]
    assert kept(tmp_path / 'two') == kept(tmp_path / 'alone')
    assert not list((tmp_path / 'two').rglob('*.tmp'))

    victim = start(tmp_path / 'killed', 2, files)
    while not kept(tmp_path / 'killed'): time.sleep(.01)
    os.kill(victim.pid, signal.SIGKILL)         # its loader processes are left alone, and end by themselves
    victim.wait()
    assert ended(victim.pid)
    some = kept(tmp_path / 'killed')
    assert some and all(some[n] == b for n, b in kept(tmp_path / 'alone').items() if n in some)
    again = background_free(files, tmp_path / 'killed', workers=2)
    assert kept(tmp_path / 'killed') == kept(tmp_path / 'alone')
    assert all(read_image(f).shape == read_image(k).shape for f, k in zip(files, again))
