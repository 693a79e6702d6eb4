"""The queue on Redis and in a folder: workers and the server are killed, hostile jobs come; nothing is lost, nothing is done twice at once."""
import collections
import functools
import json
import multiprocessing
import os
import pickle
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import naps
from conftest import TINY, flags, shell
from ladder import assert_same_runs, rows, train_ladder
from naps import nap_job as nap
from servers import LEASE
from rock_nb.core import BadInput, Run
from rock_nb.jobs.job import ID, KINDS, QueueUnavailable, new_job
from rock_nb.jobs.redis_connection import connect
from rock_nb.jobs.worker import Worker, failure_reason
from rock_nb.queue import main, open_queue, publish, publish_jobs, read_jobs, status
from waiting import until

pytestmark = [
    pytest.mark.processes, pytest.mark.slow, pytest.mark.usefixtures('no_queue_of_ones_own')]


@pytest.fixture(scope='module')
def processes():
    "Processes that begin with everything loaded."
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['naps', 'rock_nb.queue', 'rock_nb.jobs.server'])
    return context


class Crew:
    "Workers in processes of their own."
    def __init__(self, processes, queue: dict, folder: Path, n: int, mode: str = 'once'):
        self.processes = processes
        self.queue = queue
        self.mode = mode
        self.log = folder / 'workers.log'
        self.all = []
        for _ in range(n): self.start()
    def start(self):
        p = self.processes.Process(
            target=naps.work, args=(self.queue, self.mode, str(self.log)),
            kwargs=dict(ROCK_QUEUE_PATHS=os.environ['ROCK_QUEUE_PATHS']))
        p.start()
        self.all.append(p)
        return p
    @property
    def living(self): return [p for p in self.all if p.is_alive()]
    def end(self, seconds: float = 60.) -> bool:
        "Wait until all have left by themselves."
        until = time.monotonic() + seconds
        for p in self.all: p.join(max(0, until - time.monotonic()))
        return not self.living
    def __enter__(self): return self
    def __exit__(self, *_):
        for p in self.living:
            p.kill()
            p.join()


def events(home: Path) -> collections.Counter:
    return collections.Counter(
        tuple(line.split()) for line in (home / 'events').read_text().splitlines())


@pytest.fixture(params=['redis', 'folder'])
def queue(request, tmp_path):
    "A queue of each kind."
    if request.param == 'folder': return open_queue(folder=tmp_path / 'queue')
    return open_queue(**request.getfixturevalue('server')().queue)


def do_all(queue): assert Worker(queue, 'once', lambda *_: None).run() == 'nothing left'


def states(queue) -> dict[str, str]: return {j.given.get('name', j.id): j.state for j in queue.jobs()}


def order(home: Path) -> list[str]: return re.findall('begin (.*)', (home / 'events').read_text())


def test_one_deleted_and_published_anew_waits_for_what_it_says_now(queue, tmp_path):
    "Its parents of before are nothing to it, and not harmed by it."
    job = functools.partial(nap, tmp_path)
    first, second = job('first'), job('second', priority='low')
    child, free = (job(name, after=[first.id]) for name in ('child', 'free'))
    for j in (first, second, child, free): queue.publish(j)
    for j in (child, free): assert queue.delete(j.id) == 'deleted'
    queue.publish(job('child', after=[second.id], priority='high'))
    queue.publish(job('free', priority='low'))
    do_all(queue)
    assert states(queue) == dict.fromkeys(('first', 'second', 'child', 'free'), 'done')
    assert order(tmp_path) == ['first', 'second', 'child', 'free']


def test_one_that_a_worker_remembers_is_read_anew(tmp_path):
    queue = open_queue(folder=tmp_path / 'queue')
    busy, child = nap(tmp_path, 'busy'), nap(tmp_path, 'child', after=[])
    queue.publish(busy)
    queue.publish(nap(tmp_path, 'child', after=[busy.id]))
    hold = queue.take()
    assert queue.take() is None
    other = open_queue(folder=tmp_path / 'queue')
    other.delete(child.id)
    other.publish(child)
    assert queue.take().job.id == child.id
    hold.end('failed')


def test_one_of_a_kind_to_come_is_left_to_a_newer_worker(tmp_path, monkeypatch):
    queue = open_queue(folder=tmp_path / 'queue')
    queue.publish(job := nap(tmp_path, 'new'))
    with monkeypatch.context() as m:
        m.delitem(KINDS, 'nap')
        do_all(open_queue(folder=tmp_path / 'queue'))
        assert [(j.state, j.kind) for j in queue.jobs()] == [('failed', '?')]
    do_all(queue)
    assert queue.find(job.id).state == 'done'


def test_a_parent_that_is_done_anew_is_waited_for(queue, tmp_path):
    "Whatever the child is: it waits for another parent too, could be begun, or failed."
    job = functools.partial(nap, tmp_path)
    queue.publish(first := job('first'))
    do_all(queue)
    queue.publish(second := job('second'))
    queue.publish(job('both', after=[first.id, second.id]))
    shutil.rmtree(tmp_path / 'first')
    queue.requeue(first.id)
    do_all(queue)
    assert set(states(queue).values()) == {'done'} and order(tmp_path)[-1] == 'both'
    queue.publish(urgent := job('urgent', after=[first.id], priority='high'))
    queue.publish(broken := job('broken', 'x', after=[first.id], priority='high', retries=0))
    (tmp_path / 'events').unlink()
    do_all(queue)
    assert queue.find(broken.id).state == 'failed' and order(tmp_path) == ['urgent']
    for name in ('first', 'urgent'): shutil.rmtree(tmp_path / name)
    (tmp_path / 'events').unlink()
    for j in (urgent, first, broken): queue.requeue(j.id)
    assert queue.find(broken.id).attempts == 0
    do_all(queue)
    assert order(tmp_path) == ['first', 'urgent']
    assert queue.find(broken.id).begun > queue.find(first.id).ended


def test_deleting_asks_those_that_wait_alone(queue, tmp_path, monkeypatch):
    job = functools.partial(nap, tmp_path)
    queue.publish(first := job('first'))
    queue.publish(second := job('second', after=[first.id]))
    with pytest.raises(BadInput, match=f'{second.id} waits for {first.id}'): queue.delete(first.id)
    do_all(queue)
    queue.publish(third := job('third', after=[second.id]))    # it could be begun
    with pytest.raises(BadInput, match=f'{third.id} waits for {second.id}'): queue.delete(second.id)
    with monkeypatch.context() as m:    # rq knows who waits: not all jobs are fetched for it
        if hasattr(queue, 'redis'): m.delattr(type(queue), 'jobs')
        for j in (third, second, first): assert queue.delete(j.id) == 'deleted'
    with pytest.raises(BadInput, match='there is no job'): queue.delete(first.id)
    assert queue.jobs() == []


def test_all_are_published_or_none(queue, tmp_path, monkeypatch):
    "A disk or a Redis that is full by the third; those that were there before stay."
    job = functools.partial(nap, tmp_path)
    queue.publish(old := job('old', 'x', retries=0))
    do_all(queue)
    jobs = [job('one'), job('two'), job('all', after=[old.id])]
    plain, count = type(queue).put, []
    def put(self, j, check):
        count.append(j)
        if len(count) == 3 and hasattr(queue, 'redis'): queue.redis.config_set('maxmemory', 1)
        if len(count) == 3 and not hasattr(queue, 'redis'): monkeypatch.setattr(os, 'replace', full)
        return plain(self, j, check)
    def full(*_): raise OSError(28, 'No space left on device')
    with monkeypatch.context() as m:
        m.setattr(type(queue), 'put', put)
        with pytest.raises(QueueUnavailable, match='No space left|refuses') as e: publish_jobs(queue, jobs)
    assert 'the same again' not in str(e.value) and '`out`' not in str(e.value)
    with pytest.raises(QueueUnavailable): queue.requeue(old.id)
    assert states(queue) == dict(old='failed')
    if hasattr(queue, 'redis'): queue.redis.config_set('maxmemory', 0)
    else: monkeypatch.undo()


def test_a_redis_that_forgets_is_refused(server, tmp_path, monkeypatch):
    queue = open_queue(**server().queue)
    queue.publish(job := nap(tmp_path, 'one'))
    queue.redis.delete(f'rq:job:{job.id}')                 # as one that had no room would
    assert [(j.id, j.state) for j in queue.jobs()] == [(job.id, 'failed')]
    assert queue.find(job.id).error.startswith('lost by Redis')
    with pytest.raises(BadInput, match='delete it'): queue.publish(job)
    assert queue.delete(job.id) == 'deleted' and queue.jobs() == []
    queue.redis.config_set('maxmemory-policy', 'allkeys-lru')
    for ask in (lambda: queue.publish(job), queue.enter):
        with pytest.raises(BadInput, match='maxmemory-policy noeviction'): ask()
    monkeypatch.setattr(queue.redis, 'info', lambda *_: {})    # it doesn't say
    queue.publish(job)


def test_a_folder_that_is_gone_or_only_read(tmp_path, monkeypatch):
    queue = open_queue(folder=tmp_path / 'queue')
    assert queue.jobs() == [] and status(queue)[1].empty and not (tmp_path / 'queue').exists()
    queue.publish(job := nap(tmp_path, 'one'))
    queue.enter()
    (tmp_path / 'queue').rename(tmp_path / 'away')
    for ask in (queue.take, queue.jobs, queue.beat, lambda: queue.publish(nap(tmp_path, 'two'))):
        with pytest.raises(QueueUnavailable, match='queue'): ask()
    assert not (tmp_path / 'queue').exists()
    (tmp_path / 'away').rename(tmp_path / 'queue')
    hold = queue.take()
    plain = open
    def only_read(file, mode='r', *args, **kwargs):
        if set(mode) & set('awx+'): raise OSError(30, 'Read-only file system', str(file))
        return plain(file, mode, *args, **kwargs)
    with monkeypatch.context() as m:
        m.setattr('builtins.open', only_read)
        seen = open_queue(folder=tmp_path / 'queue')
        assert [j.state for j in seen.jobs()] == ['running'] and len(seen.workers()) == 1
        with pytest.raises(QueueUnavailable, match='Read-only'): seen.delete(job.id)
    hold.again(count=False)


def test_paths_are_those_of_who_publishes(sample, tmp_path, monkeypatch):
    "A worker elsewhere has other photographs of that name."
    monkeypatch.chdir(tmp_path)
    os.symlink(sample, 'photos')
    Path('folds.csv').write_text('path,fold\n')
    queue = open_queue(folder='queue')
    [job] = publish(queue, data='photos', folds='folds.csv', augment='v2', run='one')
    assert job.given['data'] == str(tmp_path / 'photos')
    assert job.given['folds'] == str(tmp_path / 'folds.csv') and job.given['augment'] == 'v2'
    Path('jobs').write_text(json.dumps(dict(kind='train', given=dict(data='photos', run='two'))))
    assert read_jobs('jobs')[0].given['data'] == str(tmp_path / 'photos')
    assert new_job('train', dict(data='data/nowhere', run='x')).given['data'] == 'data/nowhere'
    monkeypatch.delenv('ROCK_QUEUE_PATHS')
    with pytest.raises(BadInput, match="photos' lies outside the project"):
        publish(queue, data='photos', run='three')


def test_what_a_command_cannot_do_too_is_refused(tmp_path, monkeypatch, capsys):
    (tmp_path / 'jobs').write_text('')
    for words, left in (
        (['--priority', 'high'], '--priority'), (['--epochs', '3'], '--epochs'), (['v1', 'v2'], 'v1 v2'),
        (['--ensemble', 'x'], '--ensemble'), (['--retries', '0'], '--retries')):
        with pytest.raises(SystemExit, match=f'leave out {left}, or write it there'):
            main(['publish', '--jobs', str(tmp_path / 'jobs'), '--folder', str(tmp_path), *words])
    main(['publish', '--jobs', str(tmp_path / 'jobs'), '--folder', str(tmp_path)])
    monkeypatch.setenv('ROCK_QUEUE_URL', 'redis://bob:his@127.0.0.1:6380')
    with pytest.raises(BadInput, match='--port 7000 and ROCK_QUEUE_URL name two servers'): connect(port=7000)
    who = lambda *given: [
        connect(*given).connection_pool.connection_kwargs.get(k) for k in ('username', 'password', 'port')]
    assert who() == ['bob', 'his', 6380]
    monkeypatch.setenv('ROCK_QUEUE_PASSWORD', 'hers')
    assert who(None, None, 'anna') == ['anna', 'hers', 6380]


def test_ids_are_words_for_commands(tmp_path):
    for name in ('日本', '-x', '_x', 'año'):
        id = nap(tmp_path, name).id
        assert re.fullmatch('[A-Za-z0-9][A-Za-z0-9_-]*', id), id
    assert nap(tmp_path, '日本').id != nap(tmp_path, '中国').id
    assert ID.fullmatch('---c095ee')                       # of yesterday


def test_the_reason_is_that_of_the_last_attempt(tmp_path):
    log = tmp_path / 'log'
    log.write_text('--- 2026-01-01 10:00:00 attempt 1 by a\nValueError: 17.jpg\n--- … attempt 2 by b\n')
    assert failure_reason(log, 3) == 'exit code 3'
    with open(log, 'a') as f: f.write('--- 8 left ---\n')
    assert failure_reason(log, 3) == '--- 8 left ---'


@pytest.mark.parametrize('kind', ['redis', 'folder'])
def test_workers_killed_again_and_again(kind, server, processes, tmp_path):
    redis = server() if kind == 'redis' else None
    given = redis.queue if redis else dict(folder=str(tmp_path / 'queue'))
    home = tmp_path / 'naps'
    draws = random.Random(7)
    kills = 0
    restarted = False
    queue = open_queue(**given)
    jobs = [nap(home, f'n{i:03}', draws.uniform(.1, .3), retries=50) for i in range(200)]
    for j in jobs: queue.publish(j)
    done = lambda: sum((home / j.given['name'] / 'result').exists() for j in jobs)

    with Crew(processes, given, tmp_path, 4) as crew:
        until(lambda: done() > 5)
        while done() < 190:
            time.sleep(draws.uniform(.5, 1.5))
            if not (living := crew.living): break       # they have done all meanwhile, and left
            draws.choice(living).kill()
            kills += 1
            crew.start()
            if redis and not restarted and done() > 80:
                redis.kill()
                time.sleep(0.5)
                redis.start()
                restarted = True
        assert crew.end(120), crew.log.read_text()[-3000:]

    found = queue.jobs()
    assert [j.state for j in found] == ['done']*200, crew.log.read_text()[-3000:]
    seen = events(home)
    assert all(seen['end', j.given['name']] == 1 for j in jobs) and not any(
        word == 'clash' for word, _ in seen)
    assert kills >= 5 and sum(j.attempts > 1 for j in found) >= 3 and bool(redis) == restarted
    # written once
    if redis:
        assert all(
            len([r for r in queue.fetch(j.id).results() if r.type == r.Type.SUCCESSFUL]) == 1
            for j in found)


@pytest.mark.parametrize('kind', ['redis', 'folder'])
def test_what_shall_be_stopped_is_not_begun_again(kind, server, processes, tmp_path):
    "Also where it fails, or its worker leaves, before it hears of it."
    given = (
        dict(server().queue, lease=60) if kind == 'redis' else dict(folder=str(tmp_path / 'queue')))
    queue, home = open_queue(**given), tmp_path / 'naps'
    queue.publish(job := nap(home, 'long', 60))
    begun = lambda n: until(lambda: (home / 'events').exists() and sum(events(home).values()) == n)
    with Crew(processes, given, tmp_path, 1, 'forever') as crew:
        for n, leave in enumerate([False, True], 1):
            begun(n)
            assert queue.delete(job.id) == 'will be stopped'
            if leave: crew.all[0].terminate()
            else: os.kill(int((home / 'long' / 'pid').read_text()), signal.SIGKILL)
            until(lambda: queue.find(job.id).state == 'stopped', 5)
            time.sleep(.5)
            assert queue.find(job.id).state == 'stopped' and sum(events(home).values()) == n
            queue.requeue(job.id)
        assert crew.end(5)
        crew.start()
        begun(3)


def test_a_redis_without_room_is_waited_for(server, processes, tmp_path):
    redis = server()
    queue = open_queue(**redis.queue)
    queue.publish(job := nap(tmp_path / 'naps', 'one'))
    queue.redis.config_set('maxmemory', 1)
    with pytest.raises(QueueUnavailable, match='refuses'):
        queue.publish(nap(tmp_path / 'naps', 'two'))
    with Crew(processes, redis.queue, tmp_path, 1) as crew:
        until(lambda: crew.log.exists() and 'waiting for it' in crew.log.read_text())
        assert queue.find(job.id).state == 'waiting'
        queue.redis.config_set('maxmemory', 0)
        queue.publish(nap(tmp_path / 'naps', 'two'))
        assert crew.end(), crew.log.read_text()
    assert [j.state for j in queue.jobs()] == ['done', 'done']


def test_a_worker_that_is_only_slow_does_no_harm(server, processes, tmp_path):
    redis, home = server(), tmp_path / 'naps'
    queue = open_queue(**redis.queue)
    queue.publish(job := nap(home, 'long', 600))
    with Crew(processes, redis.queue, tmp_path, 1) as crew:
        until(lambda: (home / 'events').exists())
        os.kill(crew.all[0].pid, signal.SIGSTOP)        # its job's process goes on
        for q in queue.queues: assert q.acquire_maintenance_lock()    # by one that dies with it
        crew.start()
        until(lambda: 'attempt 2' in crew.log.read_text())
        # the second waits for the folder: there is no second `begin` yet
        time.sleep(1)
        assert events(home) == {('begin', 'long'): 1}
        (home / 'long' / 'hurry').touch()
        os.kill(crew.all[0].pid, signal.SIGCONT)
        assert crew.end(), crew.log.read_text()
    assert (
        queue.find(job.id).state == 'done'
        and events(home) == {('begin', 'long'): 2, ('end', 'long'): 1}
        and 'given up' in crew.log.read_text())


def test_a_server_that_sleeps_too_long_or_forgets(server, processes, tmp_path):
    redis, home = server(), tmp_path / 'naps'
    queue = open_queue(**redis.queue)
    queue.publish(job := nap(home, 'long', 2*LEASE))
    with Crew(processes, redis.queue, tmp_path, 1, 'forever') as crew:
        until(lambda: (home / 'events').exists())
        redis.process.send_signal(signal.SIGSTOP)
        with pytest.raises(QueueUnavailable, match='does not answer in time'):
            queue.jobs()
        until(lambda: 'given up' in crew.log.read_text(), 18)  # before another could have it
        redis.process.send_signal(signal.SIGCONT)
        until(lambda: queue.find(job.id).state == 'done')
        queue.redis.flushall()                                 # the worker goes on with what comes
        queue.publish(nap(home, 'next'))
        until(lambda: (home / 'next' / 'result').exists())
        until(lambda: len(status(queue)[1]) == 1)
        assert crew.living
    assert events(home)['end', 'long'] == 1 and not any(word == 'clash' for word, _ in events(home))


def worker(queue: list, log: Path, mode: str = 'once') -> subprocess.Popen:
    "A worker as people start it."
    with open(log, 'ab') as f:
        return subprocess.Popen(
            [sys.executable, '-m', 'rock_nb.queue', 'work', '--mode', mode, *queue], stdout=f,
            stderr=f)


def test_the_ladder_and_its_ensemble_equal_the_pipelines(server, sample, tmp_path):
    names = ['baseline', 'v1', 'v2', 'v3', 'v4', 'v5']
    given = {**TINY, 'epochs': 4, 'workers': 0, 'data': str(sample)}
    at = flags(dict(ip='127.0.0.1', port=server().port))
    r = shell(
        sys.executable, '-m', 'rock_nb.queue', 'publish', *names, '--ensemble', 'ensemble', *at,
        *flags(given | dict(out=tmp_path / 'queued')))
    assert r.returncode == 0 and len(r.stdout.split()) == 7, r.stderr
    queue, log = open_queue('127.0.0.1', int(at[3])), tmp_path / 'workers.log'
    runs = {
        j.given.get('version', 'ensemble'): Run(
            tmp_path / 'queued' / j.given.get('run', j.given.get('name')))
        for j in queue.jobs()}

    at += ['--lease', str(LEASE)]
    workers = [worker(at, log) for _ in range(2)]
    try:
        torn = lambda: [v for v, run in runs.items() if 1 <= rows(run) < 4]
        until(torn, 240)
        torn, now = torn()[0], status(queue)
        begun = next(j for j in queue.jobs() if j.given.get('version') == torn)
        victim = workers.pop([w.pid for w in workers].index(now[1].pid[begun.worker]))
        victim.kill()
        victim.wait()
        had = rows(runs[torn])
        workers.append(worker(at, log))
        for w in workers: assert w.wait(400) == 0, log.read_text()
    finally:
        for w in workers:
            w.kill()
            w.wait()

    table = {j.given.get('version', 'ensemble'): j for j in queue.jobs()}
    assert {v: (j.state, j.attempts) for v, j in table.items()} == {
        v: ('done', 1 + (v == torn)) for v in runs}, log.read_text()
    again = queue.log(begun.id).read_text().split('attempt 2')[1]
    # it went on, and did not begin anew
    assert all(
        f'epoch {e}/' not in again.replace('  ', ' ') for e in range(1, had + 1)
    ) and 'epoch 4/' in again.replace('  ', ' '), again
    train_ladder(names, tmp_path / 'piped', given)
    assert_same_runs(runs, table, tmp_path / 'piped')


def test_several_processes_in_one_job(sample, tmp_path):
    import psutil
    at = ['--folder', str(tmp_path / 'queue')]
    log = tmp_path / 'workers.log'
    run = Run(tmp_path / 'runs' / 'many')
    queue = open_queue(folder=tmp_path / 'queue')
    [job] = publish(
        queue, 'baseline', run='many', nproc=2, epochs=4, data=str(sample),
        out=str(tmp_path / 'runs'), **{**TINY, 'workers': 0})
    theirs = lambda: [
        p for p in psutil.process_iter(['cmdline'])
        if str(tmp_path / 'runs') in ' '.join(p.info['cmdline'] or []) and p.status() != 'zombie']
    first = worker(at, log)
    try:
        until(lambda: rows(run) >= 1, 180)
        assert len(theirs()) >= 3  # a launcher and two ranks
    finally:
        first.kill()
        first.wait()
    until(lambda: not theirs())
    had = run.history.read_text()
    assert not run.done
    assert worker(at, log).wait(240) == 0, log.read_text()
    assert (queue.find(job.id).state, queue.find(job.id).attempts) == ('done', 2), log.read_text()
    assert run.done and rows(run) == 4 and run.history.read_text().startswith(had)


class Bomb:
    def __init__(self, file): self.file = file
    def __reduce__(self): return os.system, (f'touch {self.file}',)


def test_a_power_cut_where_redis_writes_every_second(server, processes, tmp_path):
    """What was said in the last second is forgotten, half a sentence too: jobs that were published
    then are to be published again, one that was done then is begun again and found complete."""
    redis = server('--appendfsync', 'everysec')
    queue = open_queue(**redis.queue)
    [log] = (tmp_path / 'redis0' / 'appendonlydir').glob('*.incr.aof')
    home = tmp_path / 'naps'
    def do_all():
        with Crew(processes, redis.queue, tmp_path, 1) as crew:
            assert crew.end(60), crew.log.read_text()[-3000:]
    def size() -> int:
        time.sleep(.2)      # each sentence is in the file at once, though not on the disk
        return log.stat().st_size
    early, late, lost = (nap(home, name) for name in ('early', 'late', 'lost'))
    queue.publish(early)
    do_all()
    queue.publish(late)
    kept = size()
    do_all()
    queue.publish(lost)
    assert size() > kept and [queue.find(j.id).state for j in (late, lost)] == ['done', 'waiting']
    redis.kill()
    os.truncate(log, kept + 20)
    redis.start()
    assert [j.state for j in queue.jobs()] == ['done', 'waiting'] and queue.find(lost.id) is None
    queue.publish(lost)
    do_all()
    assert [j.state for j in queue.jobs()] == ['done'] * 3
    assert events(home) == {(w, n): 1 for w in ('begin', 'end') for n in ('early', 'late', 'lost')}


def test_one_whose_worker_dies_as_it_begins_is_put_back_once(server, tmp_path, monkeypatch):
    "It is nowhere but in the list of jobs that are at work; what was taken and not begun is found, too."
    from rock_nb.jobs.rq_worker import RqWorker
    from rock_nb.jobs.worker import Worker
    from rq.intermediate_queue import IntermediateQueue
    naps.register()
    queue = open_queue(**server().queue)
    line = queue.queues[1]
    for name in ('begun', 'taken'): queue.publish(nap(tmp_path, name))
    worker = RqWorker.of(Worker(queue, 'once', print))
    worker.register_birth()
    begun, taken = line.take(), line.take()
    worker.prepare_execution(begun)
    worker.prepare_job_execution(begun)
    assert line.intermediate_queue.get_job_ids() == [taken.id]
    queue.redis.zadd(line.started_job_registry.key, dict.fromkeys(    # its lease is over
        queue.redis.zrange(line.started_job_registry.key, 0, -1), 1))
    monkeypatch.setattr(IntermediateQueue, 'should_be_cleaned_up', lambda *_: True)   # a minute
    for _ in range(3): worker.clean_registries()
    assert sorted(line.get_job_ids()) == sorted([begun.id, taken.id])
    assert [j.state for j in queue.jobs()] == ['waiting', 'waiting']


def test_hostile_jobs(server, processes, tmp_path):
    import rq
    redis, home, mark = server(), tmp_path / 'naps', tmp_path / 'unpickled'
    queue = open_queue(**redis.queue)
    open_ = dict(connection=queue.redis, serializer='json')
    bad = lambda *args, **kwargs: (
        rq.Queue('rock-high', **open_).enqueue_call(*args, result_ttl=-1, **kwargs).id)
    wrong = {
        bad(
            'rock_nb.queue.perform',
            ['train', dict(version='v2', gpu=1, run='x', out=str(tmp_path))]
        ): "unknown recipe field 'gpu'|unknown parameter of a training 'gpu'",
        bad('rock_nb.queue.perform', ['train', dict(data='/etc', run='x')]): 'outside the project',
        bad('rock_nb.queue.perform', ['train', dict(run='../../x')]): "can't be a folder",
        bad('rock_nb.queue.perform', ['shell', dict(do='true')]): 'unknown kind of job',
        bad(
            'rock_nb.queue.perform', ['nap', dict(name=random.Random(1).randbytes(10**6).hex())]
        ): 'too large',
        bad(
            'rock_nb.queue.perform', ['nap', dict(name='x' * 10**7)]
        ): 'too large',  # rq packs it to 10 KB
        bad(
            'rock_nb.queue.perform', ['nap', {}], meta=dict(retries='many')
        ): 'retries of a job is wrong',
        bad('rock_nb.queue.perform', ['nap', dict(name='no home')]): 'home',
        bad(
            'rock_nb.queue.perform', ['train', dict(run='x', out=['/etc'])]
        ): 'what is given is wrong',
        bad('os.getcwd', []): 'not for this queue',
        rq.Queue('rock-high', connection=queue.redis)
        .enqueue_call('os.getcwd', [Bomb(mark)])
        .id: 'no JSON',
        rq.Queue('rock-high', **open_)
        .enqueue_call('rock_nb.queue.perform', ['nap', {}], job_id='bad-meta')
        .id: 'home|no JSON',
    }
    queue.redis.hset('rq:job:bad-meta', 'meta', pickle.dumps(Bomb(mark)))
    for name, value in dict(text='no job at all').items():
        queue.redis.set(f'rq:job:{name}', value)
        queue.redis.rpush('rq:queue:rock-high', name)
    queue.redis.hset('rq:job:odd', mapping=dict(data='x', status='weird', created_at='yesterday'))
    queue.redis.rpush('rq:queue:rock-high', 'odd', 'nowhere', b'\xff\xfe')
    queue.publish(good := nap(home, 'good', priority='low'))
    with Crew(processes, redis.queue, tmp_path, 1) as crew:
        assert crew.end(90), crew.log.read_text()
    assert queue.find(good.id).state == 'done', crew.log.read_text()
    said = {j.id: j for j in queue.jobs()}
    for id, text in wrong.items():
        assert said[id].state == 'failed' and re.search(text, said[id].error), (id, text, said[id])
    assert (
        not mark.exists() and 'nothing left' in crew.log.read_text()
        and 'Traceback' not in crew.log.read_text())
    for id in wrong: queue.delete(id)
    assert {j.id for j in queue.jobs()} <= {good.id, 'odd', 'bad-meta'}


def test_nobody_there_and_secrets(server, tmp_path, monkeypatch):
    rock_queue = [sys.executable, '-m', 'rock_nb.queue']
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        r = shell(*rock_queue, 'list', '--ip', '127.0.0.1', '--port', s.getsockname()[1])
    assert (
        r.returncode == 1 and r.stderr.count('\n') == 1
        and 'does not answer (Connection refused); start it' in r.stderr)
    locked = server(
        '--requirepass', 'open-sesame', '--user', 'anna', 'on', '>anna-only', '~*', '&*', '+@all')
    at = ['--ip', '127.0.0.1', '--port', locked.port]
    said = [
        shell(*rock_queue, 'list', *at),
        shell(*rock_queue, 'list', *at, ROCK_QUEUE_PASSWORD='wrong-word'),
        shell(*rock_queue, 'list', *at, '--user', 'anna', ROCK_QUEUE_PASSWORD='open-sesame')]
    assert all(
        r.returncode == 1 and 'refuses the user or the password' in r.stderr
        and r.stderr.count('\n') == 1 for r in said), [r.stderr for r in said]
    said += [
        shell(*rock_queue, 'status', *at, ROCK_QUEUE_PASSWORD='open-sesame'),
        shell(*rock_queue, 'status', *at, '--user', 'anna', ROCK_QUEUE_PASSWORD='anna-only'),
        shell(
            *rock_queue, 'status', ROCK_QUEUE_URL=f'redis://anna:anna-only@127.0.0.1:{locked.port}'
        )]
    assert [r.returncode for r in said[3:]] == [0, 0, 0], said[-1].stderr
    assert not any(
        word in r.stdout + r.stderr for r in said
        for word in ('open-sesame', 'anna-only', 'wrong-word'))


def test_tls(server, tmp_path, monkeypatch):
    if not shutil.which('openssl'):
        (pytest.fail if os.environ.get('CI') else pytest.skip)(
            'no openssl (apt-get install openssl)')
    key, crt = tmp_path / 'key.pem', tmp_path / 'crt.pem'
    shell(
        'openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', crt,
        '-days', '2', '-subj', '/CN=127.0.0.1', '-addext',
        'subjectAltName=IP:127.0.0.1').check_returncode()
    redis = server(
        '--tls-cert-file', crt, '--tls-key-file', key, '--tls-auth-clients', 'no', tls=True)
    monkeypatch.setenv('ROCK_QUEUE_URL', f'rediss://127.0.0.1:{redis.port}?ssl_ca_certs={crt}')
    queue = open_queue()
    queue.publish(job := nap(tmp_path / 'naps', 'safe'))
    assert queue.find(job.id).state == 'waiting'
    monkeypatch.setenv('ROCK_QUEUE_URL', f'rediss://127.0.0.1:{redis.port}')
    with pytest.raises(BadInput, match='does not answer .*certificate'):
        open_queue()


def test_words_to_workers(server, processes, tmp_path):
    redis = server()
    queue, log = open_queue(**redis.queue), tmp_path / 'worker.log'
    at = flags(dict(ip='127.0.0.1', port=redis.port))
    w = worker([*at, '--lease', str(LEASE)], log, 'forever')
    try:
        until(queue.workers)
        [before] = queue.workers()
        assert shell(sys.executable, '-m', 'rock_nb.queue', 'refresh', *at).returncode == 0
        until(lambda: set(queue.workers()) - {before})     # the same process, begun anew
        [after] = queue.workers().values()
        assert after['pid'] == w.pid and w.poll() is None
        assert shell(sys.executable, '-m', 'rock_nb.queue', 'stop', *at).returncode == 0
        assert (
            w.wait(30) == 0 and log.read_text().split() == ['refresh', 'stop']
            and not queue.workers())
    finally:
        w.kill()
        w.wait()
    with Crew(processes, redis.queue, tmp_path, 1, 'forever') as crew:        # deleting a job at work stops it
        queue.publish(job := nap(tmp_path / 'naps', 'long', 60))
        until(lambda: (tmp_path / 'naps' / 'events').exists())
        assert queue.delete(job.id) == 'will be stopped'
        until(lambda: queue.find(job.id).state == 'stopped')
        queue.requeue(job.id)
        until(lambda: events(tmp_path / 'naps')['begin', 'long'] == 2)
        crew.all[0].terminate()                                               # SIGTERM puts it back
        assert crew.end(20)
    assert (queue.find(job.id).state, queue.find(job.id).attempts) == ('waiting', 0) and events(
        tmp_path / 'naps')['end', 'long'] == 0
