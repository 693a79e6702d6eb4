"""Where a system lacks what POSIX has: everything can be imported; training, prediction and comparison run."""
import subprocess
import sys

import pytest

from conftest import ROOT

# as on Windows, for this package; what it stands on is Linux's
HIDDEN = """
import builtins, importlib.util, os, sys
MISSING = {'fcntl', 'resource', 'pwd', 'grp', 'termios'}
for name in ('pread', 'pwrite', 'fork', 'killpg', 'setsid'): delattr(os, name)
import_module, find = builtins.__import__, importlib.util.find_spec
def without(name, among=None, *rest, **more):
    if name in MISSING and (among or {}).get('__name__', '').startswith('rock_nb'): raise ImportError(name)
    return import_module(name, among, *rest, **more)
builtins.__import__ = without
importlib.util.find_spec = lambda name, *rest: None if name in MISSING else find(name, *rest)
"""
IMPORTS = """
import importlib, pkgutil, rock_nb
for m in pkgutil.walk_packages(rock_nb.__path__, 'rock_nb.'): importlib.import_module(m.name)
"""
WORK = """
from pathlib import Path
import rock_nb
from rock_nb.data.synthetic import make
from rock_nb.jobs.folder import FolderQueue
out = Path(sys.argv[1])
make(out/'photos', n=42, n_test=7, size=(40, 60))
given = dict(
    data=out/'photos', out=out/'runs', arch='test_resnet', pretrained=False, img_size=32,
    batch_size=8, scale="smoke", workers=0, valid=.3, show=lambda *_: None)
runs = [rock_nb.fit(version, run=version, **given) for version in ('baseline', 'frozen')]
assert len(rock_nb.predict(out/'photos'/'test', runs[1])) == 7
print(rock_nb.compare(*runs))
for refused in (lambda: FolderQueue(out/'queue'), lambda: rock_nb.fit(run='raw', pack='raw', **given)):
    try: refused()
    except rock_nb.BadInput as e: print(e)
"""


def run(program: str, *words) -> str:
    done = subprocess.run(
        [sys.executable, '-c', HIDDEN + program, *map(str, words)], cwd=ROOT, capture_output=True,
        text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.processes
def test_everything_can_be_imported(): run(IMPORTS)


@pytest.mark.processes
def test_a_run_from_training_to_comparison(tmp_path):
    said = run(WORK, tmp_path)
    assert 'the queue in a folder needs POSIX locks' in said
    assert 'a pack needs POSIX locks' in said
