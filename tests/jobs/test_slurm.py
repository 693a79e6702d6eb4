"""The queue on a real SLURM of two nodes: what it begins ends as in the local pipeline, whatever is killed, cancelled or out of time."""
import contextlib
import functools
import os
import re
import signal
import sys
import threading
import time

import numpy as np
import pandas as pd
import psutil
import pytest
import waiting

from conftest import TINY, flags, shell
from hosts import machines
from ladder import assert_same_runs, rows, train_ladder
from rock_nb.core import BadInput, Run, read_json
from rock_nb.jobs.job import QueueUnavailable, new_job
from rock_nb.queue import open_queue, publish
from rock_nb.train import fit
from slurm_cluster import Cluster, need_slurm

until = functools.partial(waiting.until, seconds=240)
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures('no_queue_of_ones_own')]
SMALL = {**TINY, 'workers': 0}


def rock_queue(command: str, *words, **env):
    return shell(
        sys.executable, '-m', 'rock_nb.queue', command, '--on', 'slurm', *words, **env)


def trainings(run: Run) -> list[psutil.Process]:
    "The processes that train a run."
    words = lambda p: ' '.join(p.info['cmdline'] or [])
    return [
        p for p in psutil.process_iter(['cmdline'])
        if all(str(w) in words(p) for w in (run.path.parent, f'"{run.name}', '"do"'))]


@pytest.fixture(scope='module')
def late(slurm, sample, tmp_path_factory):
    """A training that stands still from its first checkpoint until it is told that its time is
    over, begun before all else."""
    home = tmp_path_factory.mktemp('late')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROCK_QUEUE_PATHS', str(home.parent))
        queue = open_queue(folder=home / 'queue', on='slurm', options=[
            '--time=60', '--nodelist=n2', '--signal=B:USR1@60'])
        [job] = publish(
            queue, run='late', epochs=12, data=str(sample), out=str(home / 'runs'), **SMALL)
    run = Run(home / 'runs' / 'late')
    until(lambda: run.last.exists(), said=lambda: slurm.logs())
    stopped = trainings(run)
    for p in stopped: p.send_signal(signal.SIGSTOP)
    number = queue.submitted(job.id)['number']
    [begun] = [j.begun for j in queue.jobs()]
    minutes = int((time.time() - begun + 30) / 60) + 1
    slurm.call('scontrol', 'update', f'JobId={number}', f'TimeLimit={minutes}')
    before, after = run.last.stat().st_mtime_ns, []
    def go_on():
        save = queue.home / 'stop' / f'{job.id}.save'
        until(save.exists, said=slurm.logs)
        slurm.call('scontrol', 'update', f'JobId={number}', 'TimeLimit=60')
        for p in stopped: p.send_signal(signal.SIGCONT)
        until(lambda: not save.exists())
        after.append(run.last.stat().st_mtime_ns)
    thread = threading.Thread(target=go_on)
    thread.start()
    yield queue, job, run, lambda: thread.join() or after == [a for a in after if a > before] != []
    for p in stopped:
        if p.is_running(): p.kill()
    thread.join()


def test_the_pipeline_equals_the_local_one_though_a_node_is_lost(slurm, late, sample, tmp_path):
    names, given = ['baseline', 'v1', 'v3'], {**SMALL, 'epochs': 3, 'data': str(sample)}
    at = ['--folder', tmp_path / 'queue']
    r = rock_queue('publish', *names, '--ensemble', 'ensemble', *at, *flags(
        given | dict(out=tmp_path / 'queued')))
    assert r.returncode == 0 and len(r.stdout.split()) == 4, r.stderr
    queue = open_queue(folder=tmp_path / 'queue', on='slurm')
    numbers = [queue.submitted(i)['number'] for i in r.stdout.split()]
    assert [n.partition('_')[2] for n in numbers] == ['0', '1', '2', '']        # an array, and one
    runs = {
        j.given.get('version', 'ensemble'): Run(
            tmp_path / 'queued' / j.given.get('run', j.given.get('name')))
        for j in queue.jobs()}
    of = lambda: {j.given.get('version', 'ensemble'): j for j in queue.jobs()}
    said = lambda: f'{queue.jobs()}\n{slurm.call("squeue", "--states=all")}\n{slurm.logs()}'

    def standing() -> str:
        "A run on the node that shall be lost, stopped in its midst."
        for v, run in runs.items():
            if not 1 <= rows(run) < 3: continue
            with contextlib.suppress(psutil.Error):     # it ended meanwhile
                stopped = trainings(run)
                for p in stopped: p.suspend()
                if rows(run) < 3 and of()[v].worker.startswith('n1-'): return v
                for p in stopped: p.resume()
        return ''
    torn = until(standing, said=said)
    slurm.kill('n1')
    had = rows(runs[torn])
    assert had < 3
    train_ladder(names, tmp_path / 'piped', given)     # meanwhile
    until(lambda: all(j.state == 'done' for j in queue.jobs()), said=said)
    slurm.start('slurmd', '-D', '-N', 'n1', name='n1')

    table = of()
    assert table[torn].attempts == 2 and table[torn].worker.startswith('n2-')
    again = re.sub(' +', ' ', queue.log(table[torn].id).read_text().split('attempt 2')[1])
    assert f'epoch {had}/' not in again and 'epoch 3/' in again, again
    assert_same_runs(runs, table, tmp_path / 'piped')


def test_what_sbatch_refuses_is_one_sentence(slurm, sample, tmp_path, disk):
    at = ['--folder', tmp_path / 'queue', '--run', 'x', '--data', sample]
    r = rock_queue('publish', *at, '--partition', 'night')
    assert r.returncode == 1 and r.stderr == (
        'BadInput: SLURM refuses, sbatch says: invalid partition specified: night; '
        'Batch job submission failed: Invalid partition name specified\n')
    queue = open_queue(folder=tmp_path / 'queue', on='slurm')
    assert queue.jobs() == []
    for options, says in (
        (['--frobnicate'], 'unrecognized option'), (['--time=soon'], 'Invalid --time'),
        (['--gres=gpu:1'], 'Invalid generic resource')):
        queue.options = options
        with pytest.raises(BadInput, match=says) as e:
            publish(queue, run='x', data=str(sample))
        assert '\n' not in str(e.value)
    # the second is refused: the first is taken back
    queue.options = ['--hold']
    [known] = publish(queue, run='known', data=str(sample))
    slurm.call('scancel', queue.submitted(known.id)['number'])
    jobs = [new_job('train', dict(run=r, data=str(sample))) for r in ('one', 'two')]
    jobs[1].after = [known.id]
    with pytest.raises(BadInput, match=f'{known.id}, which was stopped; requeue that first'):
        queue.publish_all(jobs)
    assert [j.id for j in queue.jobs()] == [known.id]
    assert jobs[0].id not in slurm.call('squeue', '-h', '-o', '%j')
    queue.delete(known.id)
    # nothing reaches SLURM that the queue has no room to write down
    full = open_queue(folder=disk / 'queue', on='slurm', options=['--hold'])
    with pytest.raises(OSError), open(disk / 'ballast', 'wb', 0) as f:
        while True: f.write(bytes(1000))
    with pytest.raises(BadInput, match='No space left on device'):
        publish(full, run='full', data=str(sample))
    (disk / 'ballast').unlink()
    assert full.jobs() == [] and 'full' not in slurm.call('squeue', '-h', '-o', '%j')


def test_no_slurm_and_no_controller(slurm, tmp_path, monkeypatch):
    queue = open_queue(folder=tmp_path / 'queue', on='slurm')
    with monkeypatch.context() as m:
        m.setenv('PATH', str(tmp_path))
        with pytest.raises(BadInput, match="SLURM's squeue is not installed here"): queue.jobs()
    conf = tmp_path / 'slurm.conf'
    text = slurm.conf.read_text() + 'MessageTimeout=2\n'
    conf.write_text(re.sub('(?<=SlurmctldPort=).*', '1', text))
    with monkeypatch.context() as m:
        m.setenv('SLURM_CONF', str(conf))
        with pytest.raises(QueueUnavailable, match='SLURM does not answer'): queue.jobs()


def test_deleted_cancelled_requeued(slurm, sample, tmp_path):
    queue = open_queue(folder=tmp_path / 'queue', on='slurm', options=['--nodelist=n2'])
    given = dict(data=str(sample), out=str(tmp_path / 'runs'), **SMALL)
    [long] = publish(queue, run='long', epochs=2000, **given)
    state = lambda: queue.find(long.id).state
    run, said = Run(tmp_path / 'runs' / 'long'), lambda: f'{queue.jobs()} {slurm.logs()}'
    until(lambda: rows(run) > 0, said=said)
    # the controller dies, once it has written down what it knows, and begins again
    until(lambda: long.id.encode() in (slurm.home / 'state' / 'job_state').read_bytes())
    slurm.daemons['slurmctld'].kill()
    slurm.daemons['slurmctld'].wait()
    slurm.start('slurmctld', '-D')
    had, first = rows(run), trainings(run)
    until(lambda: rows(run) > had and state() == 'running', said=said)
    assert trainings(run) == first
    [after] = publish(queue, 'v1', run='after', epochs=1, after=long.id, **given)
    until(lambda: queue.find(after.id).worker.endswith('(Dependency)'), said=said)
    with pytest.raises(BadInput, match=f'{after.id} waits for {long.id}'): queue.delete(long.id)
    assert queue.delete(after.id) == 'deleted' and queue.find(after.id) is None
    assert state() == 'running' and queue.find(long.id).worker.startswith('n2-')
    assert queue.delete(long.id) == 'will be stopped'
    until(lambda: state() == 'stopped', said=said)
    assert queue.find(long.id).error == 'stopped on request'
    first, had = queue.submitted(long.id)['number'], rows(run)
    queue.requeue(long.id)
    assert queue.submitted(long.id)['number'] != first
    until(lambda: rows(run) > had, said=said)
    slurm.call('scancel', queue.submitted(long.id)['number'])
    until(lambda: state() == 'stopped', said=said)
    assert queue.find(long.id).error == 'cancelled in SLURM'
    assert rock_queue('delete', long.id, '--folder', tmp_path / 'queue').stdout == (
        f'{long.id}: deleted\n')
    assert queue.jobs() == [] and not trainings(run)


def test_one_that_failed_is_mended_and_requeued(slurm, sample, tmp_path):
    queue = open_queue(folder=tmp_path / 'queue', on='slurm')
    given = dict(data=str(tmp_path / 'later'), out=str(tmp_path / 'runs'), epochs=1, **SMALL)
    [first] = publish(queue, run='first', **given)
    [second] = publish(queue, 'v1', run='second', after=first.id, **given)
    said = lambda: f'{queue.jobs()} {slurm.logs()}'
    until(lambda: queue.find(first.id).state == 'failed', said=said)
    assert 'no data folder' in queue.find(first.id).error
    until(lambda: 'DependencyNeverSatisfied' in queue.find(second.id).worker, said=said)
    assert 'blocked' in rock_queue('list', '--folder', tmp_path / 'queue').stdout
    with pytest.raises(BadInput, match=f'shall come after {first.id}, which failed'):
        publish(queue, 'v1', run='third', after=first.id, **given)
    os.symlink(sample, tmp_path / 'later')
    queue.requeue(first.id)
    until(lambda: queue.find(second.id).state == 'done', said=said)
    assert queue.find(first.id).state == 'done'


def test_two_failed_parents_are_requeued_one_after_the_other(sample, tmp_path, monkeypatch, capsys):
    "Their child is told to wait for both once neither is failed; an id that is wrong holds up no other."
    from rock_nb import queue as commands
    from rock_nb.jobs import slurm as engine
    calls, listed = [], {}
    def call(*words, text=''):
        calls.append(words)
        if words[0] == 'sbatch': listed[str(len(calls))] = 'PENDING'
        if words[0] == 'squeue': return '\n'.join(f'{n}|{s}|None|n1' for n, s in listed.items())
        return str(len(calls))
    monkeypatch.setattr(engine, 'call_slurm', call)
    queue = open_queue(folder=tmp_path / 'queue', on='slurm')
    given = dict(data=str(sample), out=str(tmp_path / 'runs'))
    [first], [second] = (publish(queue, v, **given) for v in ('baseline', 'v1'))
    [child] = publish(queue, 'v2', after=[first.id, second.id], **given)
    number = lambda j: queue.submitted(j.id)['number']
    for j in (first, second): listed[number(j)] = 'FAILED'
    with pytest.raises(SystemExit, match='nobody'):
        commands.main(['requeue', first.id, 'nobody', second.id, '--on', 'slurm', '--folder', str(queue.home)])
    assert capsys.readouterr().out == f'{first.id}: waiting\n{second.id}: waiting\n'
    assert [w for w in calls if w[0] == 'scontrol'] == [(
        'scontrol', 'update', f'JobId={number(child)}',
        f'dependency=afterok:{number(first)}:{number(second)}')]


def test_one_that_is_out_of_time_goes_on_from_its_checkpoint(slurm, late, sample, tmp_path):
    queue, job, run, saved = late
    assert saved()
    until(lambda: queue.find(job.id).state == 'done', said=lambda: (
        f'{queue.jobs()} {slurm.call("squeue", "--states=all")}'))
    assert 'out of time' in ''.join(p.read_text() for p in queue.home.glob('logs/slurm-*'))
    assert queue.log(job.id).read_text().count('attempt 1') == 2       # no fault of its own
    [number] = [queue.submitted(job.id)['number']]
    assert 'Restarts=1' in slurm.call('scontrol', 'show', 'job', number)
    fit(run='alone', epochs=12, data=str(sample), out=str(tmp_path), show=lambda *_: None, **SMALL)
    alone = Run(tmp_path / 'alone')
    for file in ('valid', 'test', 'submission', 'best'):
        assert getattr(run, file).read_bytes() == getattr(alone, file).read_bytes(), file


@pytest.mark.root
@pytest.mark.processes
def test_one_training_on_two_nodes_together(sample, tmp_path):
    "Each node has an address of its own; `srun` begins a process on both, which meet by torchrun."
    need_slurm()
    given = dict(
        arch='test_vit', pretrained=False, scale='smoke', img_size=32, epochs=1, workers=0,
        data=str(sample))
    alone = fit('v1', **given, batch_size=8, out=tmp_path / 'alone', run='one', show=lambda *_: None)
    with machines(2) as hosts:
        cluster = Cluster(tmp_path / 'slurm', hosts)
        try:
            paths = os.pathsep.join([str(tmp_path), str(sample.parent)])
            env = dict(SLURM_CONF=str(cluster.conf), ROCK_QUEUE_PATHS=paths)
            at = ['--on', 'slurm', '--folder', tmp_path / 'queue']
            queue = lambda *words: shell(
                *cluster.inside(), sys.executable, '-m', 'rock_nb.queue', *words, *at, **env)
            options = dict(batch_size=4, nodes=2, out=tmp_path / 'runs', run='both')
            r = queue('publish', 'v1', *flags(given | options))
            assert r.returncode == 0, r.stderr
            run = Run(tmp_path / 'runs' / 'both')
            until(lambda: run.done, said=lambda: '\n'.join([cluster.logs(), *(
                p.read_text() for p in (tmp_path / 'queue').glob('logs/*'))]))
            until(lambda: ' done ' in queue('list').stdout)
        finally: cluster.kill()
    ours, theirs = pd.read_csv(run.history), pd.read_csv(alone.history)
    np.testing.assert_allclose(ours.train_loss, theirs.train_loss, rtol=1e-4)
    assert read_json(run.environment)['processes'] == 2
    # each told of itself from its own address
    logs = ' '.join(str(p) for p in run.path.rglob('agent.log'))
    assert all(h.address in logs for h in hosts), logs
