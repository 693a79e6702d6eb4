"""Looking runs up makes nothing and lists little; a program that is stopped says so in a line."""
import os
import shutil
import sys

import numpy as np
import pytest

import rock_nb
from conftest import ROOT, shell
from rock_nb import ablation
from rock_nb.core import BadInput, Run, find_run, program, read_json, write_json
from rock_nb.core import run as rooms
from rock_nb.ensemble import find_members
from rock_nb.evaluation.selection import selection_note

OLD = ROOT / 'tests' / 'old_runs'


def test_a_folder_of_runs_that_is_not_there_is_not_made(tmp_path):
    typo = tmp_path / 'typo' / 'deep'
    assert rock_nb.list_runs(typo) == []
    for look_up in (rock_nb.load_run, lambda out: rock_nb.load_run('old', out), lambda out: rock_nb.ensemble(out=out),
                    lambda out: rock_nb.ensemble('a,b', out=out), lambda out: rock_nb.predict([np.zeros((8, 8, 3), 'uint8')], 'old', out=out)):
        with pytest.raises(BadInput, match='no complete run'): look_up(typo)
    assert not (tmp_path / 'typo').exists()


def test_runs_that_cannot_be_written_are_read(monkeypatch):
    access = os.access
    monkeypatch.setattr(os, 'access', lambda p, mode: mode != os.W_OK and access(p, mode))
    assert rock_nb.load_run('old', OLD).recipe() and len(rock_nb.list_runs(OLD)) == 6


def test_each_of_many_runs_is_looked_up_alone(monkeypatch):
    monkeypatch.setattr(rooms, 'runs', lambda out: pytest.fail('all runs are listed'))
    names = ['each-fold0', 'each-fold1']
    for given in (names, [Run(OLD / n) for n in names], [str(OLD / n) for n in names]):
        assert [r.name for r in find_members(given, OLD)] == names


def test_what_is_exported_and_what_is_above_is_no_run(tmp_path, monkeypatch):
    shutil.copytree(OLD / 'old', tmp_path / 'runs' / 'old')
    assert find_run('old', tmp_path / 'runs').path == tmp_path / 'runs' / 'old'
    (tmp_path / 'runs' / 'old' / 'config.json').write_text('{}')
    (tmp_path / 'metrics.json').write_text('{}')
    for name in ('old', '..'):
        with pytest.raises(BadInput, match='no complete run'): find_run(name, tmp_path / 'runs')


def test_ctrl_c_is_a_line(capsys):
    with pytest.raises(SystemExit) as e, program('; the same command goes on'): raise KeyboardInterrupt
    assert e.value.code == 130 and capsys.readouterr().err == '\nstopped; the same command goes on\n'


def test_ctrl_c_among_the_imports_is_a_line():
    done = shell(sys.executable, '-c', 'from rock_nb.core import imports_follow; imports_follow(); raise KeyboardInterrupt')
    assert done.returncode and done.stderr.strip() == 'stopped'


def test_an_ablation_needs_three_folds():
    with pytest.raises(BadInput, match='folds 2 are 2: an ablation tests on one fold'): ablation.places_of(2, None)
    assert len(ablation.places_of(3, None)) == 3


def test_a_score_that_stays_is_not_said_to_change(tmp_path):
    shutil.copytree(OLD / 'old', tmp_path / 'old')
    run = Run(tmp_path / 'old')
    known = read_json(run.metrics)
    for f1, says in ((.09091, '0.0909 all the same'), (.08, '0.0800 instead of 0.0909')):
        write_json(run.metrics, known | dict(epochs=3, valid=dict(f1=.09092, f1_crossfit=f1)))
        assert says in selection_note(run)
