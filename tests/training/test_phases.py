"""Phases: wrong ones are refused before the first is trained, no epoch is lost between two, and the right one warms up."""
from dataclasses import replace

import pytest
import torch
from torch.optim import SGD

import rock_nb
from conftest import QUICK
from rock_nb.core import BadInput, Run, read_json, write_json
from rock_nb.train import prepare
from rock_nb.training import loop
from rock_nb.training.loop import learn
from rock_nb.training.recipe import Phase, Recipe
from rock_nb.training.recipes import RECIPES, recipe
from rock_nb.training.state import PhaseState, phase_schedule
from rock_nb.training.toy import toy_recipe, toy_setup


@pytest.fixture
def register():
    "Makes recipes of a test, which go with it."
    before = dict(RECIPES)
    yield recipe
    RECIPES.clear()
    RECIPES.update(before)


@pytest.mark.parametrize('words, says', [
    ('stage3 haed', "nothing in this network is called 'haed'"), ('', "train '' names no part of the network")])
def test_words_of_a_later_phase_are_read_before_the_first(words, says, sample, tmp_path, register):
    @register
    def two(): return Recipe(phases=(Phase(1, train='head'), Phase(1, train=words)))
    with pytest.raises(BadInput, match=says):
        rock_nb.fit('two', data=sample, out=tmp_path, run='z', **{**QUICK, 'epochs': 2})
    assert not Run(tmp_path / 'z').last.exists() and not Run(tmp_path / 'z').history.exists()


@pytest.mark.parametrize('start', ['best', 'last'])
def test_the_last_epoch_of_a_phase_is_kept_though_the_next_cannot_begin(start, tmp_path, monkeypatch):
    r = replace(toy_recipe, phases=(toy_recipe.phases[0], replace(toy_recipe.phases[1], start=start)))
    straight, whole = learn(setup := toy_setup(tmp_path / 'straight', r)), setup.model.state_dict()
    def begin(setup, index):
        if index: raise MemoryError
        return PhaseState(setup, index)
    monkeypatch.setattr(loop, 'PhaseState', begin)
    with pytest.raises(MemoryError): learn(toy_setup(tmp_path / 'stopped', r))
    assert Run(tmp_path / 'stopped').history.read_text().count('\n') == 3     # two epochs
    monkeypatch.undo()
    setup = toy_setup(tmp_path / 'stopped', r)
    assert learn(setup).to_csv() == straight.to_csv()
    assert all(torch.equal(a, b) for a, b in zip(setup.model.state_dict().values(), whole.values()))


def warmed(setup):
    return [
        phase_schedule(setup, i, SGD([torch.zeros(1, requires_grad=True)], p.lr)).warmup
        for i, p in enumerate(setup.recipe.phases)]


def test_the_first_phase_that_takes_steps_warms_up(sample, tmp_path):
    given = dict(QUICK, epochs=3, data=sample, out=tmp_path, run='z', warmup=.5)
    plan = prepare('wise_ft', **given)
    assert warmed(plan.setup) == [0, .5, 0] and read_json(plan.run.recipe)['warmup_phase'] == 1
    assert warmed(prepare('wise_ft', **given).setup) == [0, .5, 0]      # gone on with
    record = read_json(plan.run.recipe)
    write_json(plan.run.recipe, {k: v for k, v in record.items() if k != 'warmup_phase'})
    assert warmed(prepare('wise_ft', **given).setup) == [.5, 0, 0]      # begun by an older version
