"""Several ranks: whatever is killed or interrupted, no process is left; a failure is one readable error; a killed rank starts again."""
import functools
import os
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import jupyter_client
import numpy as np
import pandas as pd
import pytest
import waiting

from conftest import ROOT, TINY, flags
from ladder import rows
from rock_nb.core import BadInput, Run, read_json
from rock_nb.distributed import launch as launched
from rock_nb.distributed.launch import RankFailed, as_arguments, launch
from rock_nb.train import fit
from waiting import marked

until = functools.partial(waiting.until, seconds=120)
pytestmark = [pytest.mark.processes, pytest.mark.slow]

DUMMY = dict(module='dummy_ranks', nproc=2, env=dict(PYTHONPATH=str(ROOT / 'tests' / 'helpers')))


@pytest.fixture
def run(tmp_path) -> Run:
    (tmp_path / 'run').mkdir()
    return Run(tmp_path / 'run')


@pytest.fixture
def mark(monkeypatch) -> str:
    "In the environment of all that this test starts."
    mark = f'ROCK_NB_MARK={uuid.uuid4()}'
    monkeypatch.setenv(*mark.split('='))
    yield mark
    for pid in marked(mark): os.kill(pid, signal.SIGKILL)


def cell(run: Run, **more) -> str:
    "A notebook cell that launches ranks for ten minutes."
    given = as_arguments(dict(run=run.path, epochs=10_000, workers=1))
    return (
        'from rock_nb.core import Run\nfrom rock_nb.distributed.launch import '
        f'launch\nlaunch({given}, run=Run({str(run.path)!r}), **{DUMMY | more})')


def launched_as(what: str, mark: str) -> list[int]:
    "Processes with a mark that `launch` started as an agent, or the agent as a rank."
    begun = f'launch\0{what}'.encode()
    return [pid for pid in marked(mark) if begun in Path(f'/proc/{pid}/cmdline').read_bytes()]


def test_killed_papermill_leaves_nobody(sample, mark, tmp_path):
    run = Run(tmp_path / 'runs' / 'mine')
    given = flags(
        {
            **TINY, 'arch': 'test_vit', 'epochs': 1000, 'data': sample, 'out': run.path.parent,
            'run': run.name, 'nproc': 2, 'workers': 1},
        papermill=True)
    p = subprocess.Popen(
        [
            Path(sys.executable).parent / 'papermill', ROOT / 'nbs' / '03_train.ipynb',
            tmp_path / 'out.ipynb', *given],
        stderr=subprocess.DEVNULL)
    until(lambda: rows(run) > 1 or p.poll() is not None)
    assert len(marked(mark)) >= 7    # papermill, kernel, agent, two ranks, two loader workers
    p.kill()
    p.wait()
    until(lambda: not marked(mark), seconds=15)


def test_interrupted_cell_leaves_nobody(run, mark):
    km, kc = jupyter_client.manager.start_new_kernel(kernel_name='python3')
    try:
        before = set(marked(mark))
        asked = kc.execute(cell(run))
        until(lambda: rows(run) > 1)
        assert len(marked(mark)) >= len(before) + 5
        km.interrupt_kernel()
        # a kernel that was slow to start has been asked several times who it is
        reply = dict(parent_header={})
        while reply['parent_header'].get('msg_id') != asked: reply = kc.get_shell_msg(timeout=20)
        assert (
            reply['content']['status'] == 'error'
            and reply['content']['ename'] == 'KeyboardInterrupt')
        until(lambda: set(marked(mark)) <= before, seconds=5)
    finally:
        kc.stop_channels()
        km.shutdown_kernel(now=True)


def test_killed_torchrun_leaves_nobody(run, mark):
    killed = []
    def kill_agent(history, classes):
        if killed: return    # a line of history that was written just before it is shown after it
        agents = launched_as('agent', mark)
        assert len(agents) == 1
        os.kill(agents[0], signal.SIGKILL)
        killed.extend(agents)
    with pytest.raises(RankFailed, match='torchrun ended'):
        launch(
            as_arguments(dict(run=run.path, epochs=10_000, workers=1)), run=run, show=kill_agent,
            **DUMMY)
    until(lambda: not marked(mark), seconds=5)


def test_crash_is_one_error_that_names_the_rank(run, mark, capfd):
    with pytest.raises(RankFailed) as e:
        launch(as_arguments(dict(run=run.path, crash=1)), run=run, **DUMMY)
    said = str(e.value).splitlines()
    assert said[0].startswith('rank 1 on ') and said[0].endswith(
        'failed: ValueError: the loss is nan')
    assert (
        said[2].startswith('Traceback') and said[-1] == 'ValueError: the loss is nan'
        and 'torch/distributed' not in str(e.value))
    out, err = capfd.readouterr()
    # the same error twice without a new epoch is the last
    assert out.count('starting again') == 1 and not err
    assert any(p.stat().st_size for p in run.path.glob('logs/*/*/attempt_*/1/stderr.log'))
    until(lambda: not marked(mark), seconds=5)


def test_bad_input_of_a_rank_is_its_sentence(run, mark, capfd):
    with pytest.raises(BadInput) as e:
        launch(as_arguments(dict(run=run.path, bad=1)), run=run, **DUMMY)
    assert (
        str(e.value) == "unknown recipe 'v9'; choose one of: v1, v2" and type(e.value) is BadInput)
    assert capfd.readouterr() == ('', '')


def test_wrong_option_is_what_argparse_says(run, mark):
    with pytest.raises(BadInput) as e: launch(['--epoch', 'many'], run=run, **DUMMY)
    assert str(e.value).endswith("error: argument --epochs: invalid int value: 'many'")


def test_killed_rank_starts_again_from_where_it_was(run, mark, capfd):
    killed = []
    def kill(history, classes):
        if len(history) >= 3 and not killed:
            killed.append(int((run.path / '1.pid').read_text()))
            os.kill(killed[0], signal.SIGKILL)
    history = launch(as_arguments(dict(run=run.path, epochs=12)), run=run, show=kill, **DUMMY)
    assert history.epoch.tolist() == list(range(1, 13)) and (history.ranks == 2).all()
    assert killed and int((run.path / '1.pid').read_text()) != killed[0]
    out, err = capfd.readouterr()
    assert (
        out.count('\n') == 1 and out.startswith('rank 1 on ') and 'was killed: SIGKILL' in out
        and 'starting again from the last checkpoint' in out and not err)


def test_without_restarts_a_killed_rank_is_an_error(run, mark, monkeypatch):
    monkeypatch.setattr(launched, 'DIED', re.compile('(?!)'))    # no line of torchrun's log is needed
    kill = lambda history, classes: os.kill(int((run.path / '0.pid').read_text()), signal.SIGKILL)
    with pytest.raises(RankFailed, match='rank 0 on .* was killed: SIGKILL'):
        launch(
            as_arguments(dict(run=run.path, epochs=100)), run=run, show=kill, restarts=0, **DUMMY)
    until(lambda: not marked(mark), seconds=5)


def test_two_processes_do_what_one_does(sample, tmp_path):
    """Two phases, a memory of hard photographs, accumulation, EMA, clipping: the same curve, cut
    into other pieces."""
    given = dict(
        version='v3', arch='test_vit', pretrained=False, scale='smoke', img_size=32, epochs=4,
        data=sample, workers=0, sampler='balanced', hard_memory=20, hard_ratio=0.25, hard_lag=3,
        ema=0.9, clip=1.0, class_weights='balanced')
    one = fit(**given, batch_size=8, accumulate=2, out=tmp_path, run='one')
    two = fit(**given, batch_size=4, accumulate=2, out=tmp_path, run='two', nproc=2)
    curves = [
        pd.read_csv(r.history)[['phase', 'lr', 'steps', 'train_loss', 'valid_loss', 'valid_f1']]
        for r in (one, two)]
    np.testing.assert_allclose(*curves, rtol=1e-3)
    filled = [read_json(r.metrics)['hard']['filled'] for r in (one, two)]
    assert filled[0] == filled[1] > 0


def test_a_killed_rank_leaves_the_same_bits(sample, mark, tmp_path):
    """Checkpoints within an epoch, dropout, batch normalisation. Two would have the same sum in any
    order; three have it in that of the places in a bucket."""
    given = dict(
        version='v1', arch='test_resnet', pretrained=False, scale='smoke', img_size=32,
        batch_size=4, epochs=2, workers=0, every=0., drop_rate=.1, data=sample, nproc=3)
    whole = fit(**given, out=tmp_path / 'whole', run='run', show=lambda *_: None)
    killed = []
    def kill(history, classes):
        if killed: return
        [rank] = [
            pid for pid in launched_as('rank', mark)
            if b'\0RANK=1\0' in Path(f'/proc/{pid}/environ').read_bytes()]
        os.kill(rank, signal.SIGKILL)
        killed.append(rank)
    torn = fit(**given, out=tmp_path / 'torn', run='run', show=kill)
    assert killed
    for file in ('history', 'best', 'valid', 'test'):
        assert getattr(whole, file).read_bytes() == getattr(torn, file).read_bytes(), file
