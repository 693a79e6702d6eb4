"""A training that is killed at any instant, again and again, ends with the same bits as one that never was."""
import multiprocessing
import os
import random
import signal
import time

import pytest

from rock_nb.core import Run
from rock_nb.data.synthetic import make

pytestmark = [pytest.mark.processes, pytest.mark.slow]

KILLS = 20
SMALL = dict(
    arch='test_resnet', pretrained=False, img_size=32, batch_size=8, scale='smoke', workers=0,
    every=0.0, drop_rate=0.1)
RECIPES = dict(
    plain=dict(version='v1', epochs=4),
    hard=dict(
        version='baseline', epochs=4, sampler='balanced', hard_memory=20, hard_ratio=0.25,
        hard_lag=3, ema=0.9, accumulate=2, batch_size=4, optimizer='adamw', clip=1.0),
    phases=dict(
        version='v3', epochs=4, mix='cutmix', augment='v2', schedule='cosine', warmup=1.0,
        by_step=True))
FILES = ('history', 'best', 'valid', 'test')


def kill_at(call: int):
    """Make this process kill itself at one of its calls that bring a file onto the disk: in the
    midst of a write, or between two."""
    calls = iter(range(1, 10**9))
    def counted(real):
        def f(*args, **kwargs):
            if next(calls) == call: os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)
        return f
    os.fsync, os.replace = counted(os.fsync), counted(os.replace)


def train(given: dict, call: int | None, log):
    "What the process does that is killed."
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    if call: kill_at(call)
    import torch
    from rock_nb.train import fit
    torch.set_num_threads(1)
    fit(**given, show=lambda *_: None)


@pytest.fixture(scope='session')
def sample(tmp_path_factory):
    "Fewer images than other tests have: every kill costs another start."
    return make(tmp_path_factory.mktemp('few') / 'sample', n=49, n_test=7, size=(40, 60))


@pytest.fixture(scope='module')
def processes():
    "Processes that begin with everything loaded, so that a kill costs a second and not ten."
    context = multiprocessing.get_context('forkserver')
    late = 'torch.fx.experimental.symbolic_shapes'     # what a training imports on its way
    context.set_forkserver_preload(['rock_nb.train', 'conftest', late, __name__])
    return context


def sitting(processes, given, log, seconds=None, call=None) -> int:
    "One attempt, killed after so many seconds or at a call; its exit code."
    p = processes.Process(target=train, args=(given, call, str(log)))
    p.start()
    p.join(seconds)
    if p.is_alive(): os.kill(p.pid, signal.SIGKILL)
    p.join()
    return p.exitcode


@pytest.mark.parametrize('name', RECIPES)
def test_killed_again_and_again(name, processes, sample, tmp_path):
    given, log = {**SMALL, **RECIPES[name], 'data': str(sample), 'run': name}, tmp_path / 'log.txt'
    for folder in ('warm', 'whole'):    # twice: the first sitting waits until everything is loaded
        start = time.monotonic()
        assert sitting(processes, given | dict(out=str(tmp_path / folder)), log) == 0, (
            log.read_text()[-2000:])
    took, whole = time.monotonic() - start, Run(tmp_path / 'whole' / name)

    draws, kills, ends = random.Random(41), 0, 0
    while kills < KILLS:                # a run that is over makes room for another
        torn = Run(tmp_path / f'torn{ends}' / name)
        # in the midst of a write or between two of them; or anywhere
        how = dict(call=draws.randint(1, 40)) if kills % 2 else dict(seconds=draws.uniform(0, took))
        code = sitting(processes, given | dict(out=str(torn.path.parent)), log, **how)
        assert code in (0, -signal.SIGKILL), log.read_text()[-2000:]
        kills += code != 0
        if code == 0: ends += same(torn, whole)
    if not torn.done:
        assert sitting(processes, given | dict(out=str(torn.path.parent)), log) == 0, (
            log.read_text()[-2000:])
        same(torn, whole)


def same(torn: Run, whole: Run) -> bool:
    "Whether two complete runs hold the same bits, and nothing half done; else an error."
    for file in FILES:
        assert getattr(torn, file).read_bytes() == getattr(whole, file).read_bytes(), (
            f'{torn.path}: {file}')
    assert not list(torn.path.glob('.*.tmp'))
    return True
