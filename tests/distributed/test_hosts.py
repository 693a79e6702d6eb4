"""Four machines, one rank each: they train together, one is lost and comes back, and what one can't do all hear of.

For a program of one's own: `everywhere(hosts, *command)` with `rdzv(hosts)` as the meeting point."""
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from conftest import ROOT, flags
from hosts import Machine, machines
from rock_nb.core import Run, read_json
from rock_nb.evaluation.predictions import load_predictions
from rock_nb.train import fit

pytestmark = pytest.mark.slow

LAUNCH = '''
import sys
from rock_nb.core import BadInput, Run
from rock_nb.distributed.launch import as_arguments, launch
run, rdzv, wait, given = *sys.argv[1:4], eval(sys.argv[4])
try: history = launch(as_arguments(dict(run=run, **given)), 'dummy_ranks', nnodes=4, rdzv=rdzv, run=Run(run), wait=float(wait), env=dict(PYTHONPATH=%r))
except BadInput as e: sys.exit(f'{type(e).__name__}: {e}')
print('epochs', len(history))
''' % str(ROOT / 'tests' / 'helpers')


@pytest.fixture
def hosts():
    with machines(4) as hosts: yield hosts


@pytest.fixture
def run(tmp_path) -> Run:
    (tmp_path / 'run').mkdir()
    return Run(tmp_path / 'run')


def rdzv(hosts: list[Machine], first: int = 0) -> str:
    return f'{hosts[first].address}:29500'


def everywhere(hosts: list[Machine], *command) -> list[subprocess.Popen]:
    "The same command on each machine."
    return [h.start(*command) for h in hosts]


def dummy(run: Run, meet: str, wait: float = 120, **given) -> list:
    "The command that launches the dummy rank of a machine."
    return [sys.executable, '-c', LAUNCH, run.path, meet, wait, given]


def ends(p: subprocess.Popen, seconds: float = 120) -> tuple[int, str]:
    "Exit code and output of a process that ends in time."
    out, _ = p.communicate(timeout=seconds)
    return p.returncode, out


def history(run: Run) -> pd.DataFrame:
    return (
        pd.read_csv(run.history) if run.history.exists()
        else pd.DataFrame(columns=['epoch', 'ranks', 'time']))


def wait_for(run: Run, what, seconds: float) -> pd.DataFrame:
    "The history once something is so of it."
    end = time.time() + seconds
    while not what(history(run)):
        assert time.time() < end, [p.read_text()[-2000:] for p in run.path.glob('logs/*/agent.log')]
        time.sleep(.2)
    return history(run)


@pytest.mark.parametrize('first, lost', [(0, 2), (3, 0)], ids=['another', 'the one with rank 0'])
def test_lost_machine_comes_back(hosts, run, first, lost):
    command = dummy(run, rdzv(hosts, first), epochs=16, seconds=.5)
    started = everywhere(hosts, *command)
    wait_for(run, lambda h: len(h) >= 3, 120)

    assert hosts[lost].kill() == 3    # launcher, agent, rank
    killed, before = time.time(), len(history(run))
    assert ends(started[lost])[0] != 0
    time.sleep(2)
    started[lost] = hosts[lost].start(*command)
    took = wait_for(run, lambda h: len(h) > before + 1, 60).time.iloc[before + 1] - killed
    print(f'{took:.1f} s')

    for p in started: assert ends(p)[0] == 0
    assert history(run).epoch.tolist() == list(range(1, 17)) and (history(run).ranks == 4).all()
    assert not any(h.pids() for h in hosts)


def test_bad_input_on_one_machine_ends_all(hosts, run):
    started = everywhere(hosts, *dummy(run, rdzv(hosts), bad=2))
    said = [ends(p) for p in started]
    assert [code for code, _ in said] == [1]*4
    assert all(
        out.strip().splitlines()[-1] == "BadInput: unknown recipe 'v9'; choose one of: v1, v2"
        for _, out in said), said


def test_too_few_machines_is_one_sentence(hosts, run):
    code, out = ends(hosts[1].start(*dummy(run, rdzv(hosts), wait=2)))
    assert code == 1 and out.startswith('BadInput: nobody answered at 10.77.0.1:29500 within 2 s')
    few = everywhere(hosts[:2], *dummy(run, rdzv(hosts), wait=12))
    said = [ends(p) for p in few]
    assert all(
        code == 1 and out.startswith('BadInput: ') and out.count('\n') == 1 for code, out in said
    ), said
    assert any(
        'fewer than 4 machines met at 10.77.0.1:29500 within 12 s' in out for _, out in said), said
    assert not any(h.pids() for h in hosts)


def test_without_the_first_machine_all_end(hosts, run):
    started = everywhere(hosts, *dummy(run, rdzv(hosts), epochs=1000))
    wait_for(run, lambda h: len(h) >= 2, 120)
    hosts[0].kill()
    for p in started[1:]:
        code, out = ends(p, 90)
        assert (
            code == 1
            and 'the first machine no longer answers at 10.77.0.1:29500' in out.splitlines()[-1]
        ), out


# a network without batch normalisation
TOY = dict(
    version='v1', arch='test_vit', pretrained=False, scale='smoke', img_size=32, epochs=3,
    workers=0, every=0.0, run='four')
CURVES = ['train_loss', 'valid_loss', 'valid_f1']


def train(hosts: list[Machine], **given) -> list:
    "The command that trains with all machines."
    return [
        sys.executable, '-m', 'rock_nb.train',
        *flags({**TOY, 'nnodes': 4, 'rdzv': rdzv(hosts), **given})]


@pytest.fixture(scope='module')
def alone(sample, tmp_path_factory) -> Run:
    "One process with the batch of four."
    return fit(**TOY, batch_size=16, data=sample, out=tmp_path_factory.mktemp('alone'))


def check_four(run: Run, alone: Run, sample):
    "The same curve as one process with the same global batch; every photograph judged once."
    ours, theirs = pd.read_csv(run.history), pd.read_csv(alone.history)
    np.testing.assert_allclose(ours[CURVES], theirs[CURVES], rtol=1e-4)
    assert ours.steps.tolist() == theirs.steps.tolist() and ours.lr.tolist() == theirs.lr.tolist()
    for part, path in dict(valid=run.valid, test=run.test).items():
        mine, one = load_predictions(path), load_predictions(getattr(alone, part))
        assert mine.ids.tolist() == one.ids.tolist() and len(set(mine.ids)) == len(mine.ids)
        np.testing.assert_allclose(mine.logits, one.logits, atol=1e-3)
    assert len(load_predictions(run.valid)) % 4    # the count does not divide


def test_four_machines_train_as_one_process_though_one_is_lost(hosts, alone, sample, tmp_path):
    "In the midst of an epoch; it comes back."
    command, run = train(hosts, batch_size=4, data=sample, out=tmp_path), Run(tmp_path / 'four')
    started = everywhere(hosts, *command)
    end = time.time() + 200
    while not run.last.exists():       # written after each step: we are in the midst of the first epoch
        assert time.time() < end, [p.read_text()[-2000:] for p in run.path.glob('logs/*/agent.log')]
        time.sleep(.01)
    assert hosts[2].kill() == 3 and not run.done    # launcher, agent, rank
    assert ends(started[2])[0] != 0
    time.sleep(2)
    started[2] = hosts[2].start(*command)
    for p in started:
        code, out = ends(p, 300)
        assert code == 0, out[-3000:]
    check_four(run, alone, sample)
    assert read_json(run.environment)['processes'] == 4
    assert not any(h.pids() for h in hosts)
    assert any(
        'starting again' in p.read_text() or 'attempt_1' in str(p)
        for p in run.path.rglob('logs/**/*') if p.is_file()), 'no process was started again'
