"""The audit of many files: only what changed is looked at again, a kill loses little, several at once agree, memory is flat."""
import contextlib
import os
import sqlite3
import subprocess
import sys
import time
import tracemalloc

import pandas as pd
import pytest

from conftest import ROOT
from rock_nb.data import audit as room
from rock_nb.data.audit import audit, group_duplicates, memory_file
from rock_nb.bench.files import kind, file_path, small_files
from rock_nb.data.table import read_data

N = 3000
AUDIT = (
    'import sys; from rock_nb.data.audit import survey_files; from rock_nb.data.table import read_data; '
    'survey_files(read_data(sys.argv[1]), sys.argv[2], every=.2)')


@pytest.fixture(scope='module')
def many(tmp_path_factory): return small_files(tmp_path_factory.mktemp('many') / 'files', N)


@pytest.fixture
def looked(monkeypatch):
    "The names of the files that are looked at from here on."
    names, look = [], room.inspect_file
    monkeypatch.setattr(room, 'inspect_file', lambda f: (names.append(os.path.basename(f)), look(f))[1])
    return names


def start(many, out):
    return subprocess.Popen(
        [sys.executable, '-c', AUDIT, many, out], cwd=ROOT, stderr=subprocess.PIPE, text=True)


def rows(file) -> int:
    "How many photographs are remembered."
    if not file.exists(): return 0
    with contextlib.closing(sqlite3.connect(file, timeout=60)) as db:
        return (
            db.execute('SELECT count(*) FROM facts').fetchone()[0]
            if db.execute("SELECT 1 FROM sqlite_master WHERE name='facts'").fetchone() else 0)


def test_only_changes_are_looked_at(tmp_path, looked):
    folder = small_files(tmp_path / 'files', 600)
    first = audit(read_data(folder), tmp_path)
    assert sorted(looked) == sorted(os.path.basename(file_path(i)) for i in range(600))
    assert (first.error != '').sum() == 1 and first.error[file_path(60)] != ''
    looked.clear()
    pd.testing.assert_frame_equal(audit(read_data(folder), tmp_path), first)
    assert looked == []
    os.utime(folder / file_path(7), ns=(1, 1))
    (folder / file_path(60)).write_bytes((folder / file_path(61)).read_bytes())
    (folder / file_path(599)).unlink()
    (folder / file_path(100)).with_name('new.jpg').write_bytes(
        (folder / file_path(100)).read_bytes())
    again = audit(read_data(folder), tmp_path)
    assert sorted(looked) == sorted(
        os.path.basename(f) for f in (file_path(7), file_path(60), 'new.jpg'))
    assert (
        len(again) == 600 and (again.error == '').all()
        and again.content[file_path(60)] == again.content[file_path(61)])


def test_what_cannot_be_opened_is_looked_at_again(tmp_path, looked, monkeypatch):
    folder = small_files(tmp_path / 'files', 100)
    look = room.inspect_file
    monkeypatch.setattr(
        room, 'inspect_file',
        lambda f: (
            dict(content=0, error='OSError: no answer') if f.endswith(file_path(3)) else look(f)))
    assert audit(read_data(folder), tmp_path).error[file_path(3)] == 'OSError: no answer'
    looked.clear()
    monkeypatch.setattr(room, 'inspect_file', look)
    assert audit(read_data(folder), tmp_path).error[file_path(3)] == '' and looked == [
        os.path.basename(file_path(3))]


@pytest.mark.processes
def test_kill(many, tmp_path, looked):
    file = memory_file(read_data(many), tmp_path)
    process = start(many, tmp_path)
    while rows(file) < 200 and process.poll() is None: time.sleep(.01)
    process.kill()
    process.wait()
    kept = rows(file)
    assert 200 <= kept < N
    facts = audit(read_data(many), tmp_path)
    assert len(looked) == N - kept and len(facts) == N
    pd.testing.assert_frame_equal(facts, audit(read_data(many), tmp_path / 'afresh'))


@pytest.mark.processes
def test_several_at_once(many, tmp_path, looked):
    others = [start(many, tmp_path) for _ in range(2)]
    for p in others: assert p.communicate()[1] is not None and p.returncode == 0
    facts = audit(read_data(many), tmp_path)
    assert looked == [] and len(facts) == N


def test_duplicates_of_many(many, tmp_path):
    groups = group_duplicates(read_data(many), tmp_path)
    pairs = {
        k: [
            (file_path(i), file_path(i - 1)) for i in range(N)
            if kind(i) == k and kind(i - 1) == 'cloud']
        for k in ('copy', 'near')}
    assert all(groups.same[a] == groups.same[b] for a, b in pairs['copy'])
    found = [groups.alike[a] == groups.alike[b] for a, b in pairs['near']]
    assert len(found) == N // 100 and sum(found) >= .9 * len(found)
    # and nothing else is called alike
    assert groups.alike.nunique() >= N - len(pairs['copy']) - len(pairs['near'])


@pytest.mark.slow
def test_memory_is_flat(many, tmp_path):
    def peak(folder, out):
        data = read_data(folder)
        tracemalloc.start()
        audit(data, out)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top
    few = small_files(tmp_path / 'few', 500)
    peak(few, tmp_path / 'warm')
    each = (peak(many, tmp_path / 'b') - peak(few, tmp_path / 'a')) / (N - 500)
    assert each < 2500, f'{each:.0f} bytes a photograph'
