"""A small disk in memory, for tests that fill it or make it read-only; mounting needs root."""
import os
import subprocess

import pytest


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
