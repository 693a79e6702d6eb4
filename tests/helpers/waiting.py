"What tests wait for, and the processes that they began."
import os
import time
from collections.abc import Callable
from pathlib import Path


def until(true: Callable, seconds: float = 60., said: Callable = lambda: ''):
    "Wait until something is true; what it is then. Else an error, which may say more."
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, said() or f'waited {seconds} s in vain'
        time.sleep(.1)
    return found


def marked(mark: str) -> list[int]:
    "Processes with a mark in their environment, zombies and this one apart."
    found = []
    for p in Path('/proc').glob('[0-9]*'):
        # it ended meanwhile, or is a zombie
        try:
            found += [int(p.name)] * (mark.encode() in (p / 'environ').read_bytes())
        except OSError:
            pass
    return [p for p in found if p != os.getpid()]
