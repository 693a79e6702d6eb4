"""A search through the queue: a worker trains its trials, the search is killed and goes on, what is hopeless is stopped, the leaderboard fills."""
import functools
import signal
import subprocess
import sys

import pandas as pd
import pytest
import waiting

from conftest import TINY, flags, shell
from rock_nb.core import Run
from rock_nb.queue import open_queue

until = functools.partial(waiting.until, seconds=120)
pytestmark = [pytest.mark.processes, pytest.mark.slow]

SPACE = 'lr=1e-4..1e-2:log smoothing=0..0.2'


@pytest.fixture
def place(sample, tmp_path, monkeypatch):
    "A queue in a folder with a worker, and a search through it."
    monkeypatch.setenv('ROCK_QUEUE_PATHS', str(tmp_path.parent.parent))
    monkeypatch.delenv('ROCK_QUEUE_URL', raising=False)
    log = open(tmp_path / 'worker.log', 'ab')
    (tmp_path / 'queue').mkdir()
    worker = subprocess.Popen(
        [sys.executable, '-m', 'rock_nb.queue', 'work', '--folder', str(tmp_path / 'queue')],
        stdout=log, stderr=log)
    given = {
        **TINY, 'workers': 0, 'data': sample, 'out': tmp_path / 'runs',
        'name': 'found', 'queue': tmp_path / 'queue'}
    yield tmp_path, [sys.executable, '-m', 'rock_nb.sweep', *flags(given)]
    worker.terminate()
    worker.wait(20)


def test_a_killed_search_goes_on(place):
    tmp_path, command = place
    command += flags(dict(space=SPACE, trials=3, epochs=1))
    board = tmp_path / 'runs' / 'found' / 'trials.csv'
    first = subprocess.Popen(
        command, stdout=open(tmp_path / 'first.log', 'w'), stderr=subprocess.STDOUT)
    until(board.exists)                                     # written after the first trial, not at the end
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = pd.read_csv(board)
    assert 1 <= len(before) < 3, before

    r = shell(*command)
    assert r.returncode == 0, r.stderr[-2000:]
    table = pd.read_csv(board)
    assert (
        (table.state == 'done').all() and sorted(table.trial) == [0, 1, 2]
        and table.valid_f1.is_monotonic_decreasing and table.lr.between(1e-4, 1e-2).all())
    # what was drawn stayed
    assert before.merge(table, on=['trial', 'lr', 'smoothing']).shape[0] == len(before)
    jobs = {j.given['run']: j for j in open_queue(folder=tmp_path / 'queue').jobs()}
    # none was trained twice
    assert sorted(jobs) == ['trial-000', 'trial-001', 'trial-002'] and all(
        j.state == 'done' and j.attempts == 1 for j in jobs.values())
    for row in table.itertuples():
        assert jobs[f'trial-{row.trial:03}'].given['lr'] == pytest.approx(row.lr) and jobs[
            f'trial-{row.trial:03}'].result['valid']['f1'] == pytest.approx(row.valid_f1)
    best = (tmp_path / 'runs' / 'found' / 'best.py').read_text()
    assert (
        f'trial {table.trial[0]} of 3' in best and 'def best_of_found():' in best
        and 'return replace(baseline(), ' in best and best in r.stdout)
    assert (tmp_path / 'runs' / 'found' / 'trials.png').exists()


def test_what_is_hopeless_is_stopped(place):
    tmp_path, command = place
    from rock_nb import sweep as room
    folder, queue = tmp_path / 'runs' / 'found', open_queue(folder=tmp_path / 'queue')
    study = room.open_study(folder)
    for _ in range(5):                                      # five that nobody can come near
        trial = study.ask()
        trial.set_user_attr('fields', dict(lr=1.5e-9))
        trial.report(.99, 1)
        study.tell(trial, .99)
    given = {
        **TINY, 'workers': 0, 'epochs': 400, 'seed': 41,
        'data': command[command.index('--data') + 1]}
    s = room.Search(
        folder, study, 'random', room.read_space('lr=1e-9..2e-9'),
        {k: v for k, v in given.items() if k != 'scale'}, 'smoke', 6, prune=True)
    table = room.drive(s, room.Through(queue))
    last = table[table.trial == 5].iloc[0]
    assert last.state == 'hopeless' and last.valid_f1 < .99 and 1 <= last.epoch < 400, table
    # stopped, or taken out at once
    assert all(j.state == 'stopped' for j in queue.jobs()) and not Run(folder / 'trial-005').done


def test_a_grid_through_the_queue(place):
    tmp_path, command = place
    r = shell(*command, *flags(dict(grid='lr=1e-3,1e-4', seeds='41,42', epochs=1)))
    assert r.returncode == 0, r.stderr[-2000:]
    table, runs = (pd.read_csv(tmp_path / 'runs' / 'found' / f'{n}.csv') for n in ('sweep', 'runs'))
    assert (
        len(table) == 2 and (table.seeds == 2).all() and set(table.lr) == {1e-3, 1e-4}
        and table.valid_f1.is_monotonic_decreasing)
    assert set(zip(runs.lr, runs.seed)) == {(1e-3, 41), (1e-3, 42), (1e-4, 41), (1e-4, 42)}
    from rock_nb import sweep as room
    with pytest.raises(SystemExit, match=r'holds another search \(space:'):
        room.main(command[3:] + flags(dict(grid='lr=1e-3,1e-5', seeds='41,42', epochs=1)))


def test_an_ablation_through_the_queue(place, sample):
    from rock_nb.ablation import ablate
    tmp_path, _ = place
    given = dict(
        TINY, factors='lr=1e-4', epochs=1, folds=3, test_folds='1', workers=0, data=str(sample),
        out=str(tmp_path / 'runs'))
    table = ablate(**given, queue=str(tmp_path / 'queue'), name='queued')
    here = ablate(**given, name='here', jobs=2)
    same = ['runs', 'f1', 'gain', 'low', 'high', 'p', 'verdict']
    pd.testing.assert_frame_equal(table[same], here[same])
    assert table.index.tolist() == ['lr=0.0001']
    runs = pd.read_csv(tmp_path / 'runs' / 'queued' / 'runs.csv')
    assert runs.run.tolist() == ['trial-000', 'trial-001'] and set(runs.test_fold) == {1}
