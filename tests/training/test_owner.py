"""A run folder holds the weights of the recipe that it names, whatever is deleted meanwhile."""
from dataclasses import replace

import pytest

import rock_nb
from conftest import QUICK
from rock_nb.core import BadInput, Run, lock, read_json
from rock_nb.training.checkpoint import load_checkpoint, save_checkpoint
from rock_nb.training.loop import learn
from rock_nb.training.toy import toy_recipe, toy_setup


@pytest.mark.parametrize('left', ['last.ckpt', 'history.csv', 'best.safetensors'])
def test_what_a_training_left_is_not_claimed_without_its_recipe(left, sample, tmp_path):
    (tmp_path / 'z').mkdir()
    (tmp_path / 'z' / left).write_bytes(b'of another recipe')
    with pytest.raises(BadInput, match=rf'z has {left} but no recipe.json, .* move or delete'):
        rock_nb.fit('baseline', data=sample, out=tmp_path, run='z', **QUICK)
    assert not (tmp_path / 'z' / 'recipe.json').exists()


def test_a_checkpoint_of_another_recipe_is_not_gone_on_with(tmp_path):
    class Stop(Exception): pass
    def stop(*_): raise Stop
    with pytest.raises(Stop): learn(toy_setup(tmp_path), stop)
    with pytest.raises(BadInput, match='is of another recipe .smoothing: 0.1 -> 0.2'):
        learn(toy_setup(tmp_path, replace(toy_recipe, smoothing=.2)))
    saved = load_checkpoint(Run(tmp_path))
    del saved['recipe']               # as an earlier version wrote it
    save_checkpoint(Run(tmp_path), saved)
    assert len(learn(toy_setup(tmp_path))) == 4


def test_nothing_is_written_to_a_folder_that_another_has_made_since(tmp_path):
    def replaced(history, classes):
        if len(history) > 1: return
        (tmp_path / 'run').rename(tmp_path / 'gone')
        with lock(tmp_path / 'run'): pass
    with pytest.raises(BadInput, match='run was deleted or replaced while this process was writing'):
        learn(toy_setup(tmp_path / 'run'), replaced)
    assert [f.name for f in (tmp_path / 'run').iterdir()] == ['.lock']


def test_a_folder_that_was_made_anew_is_not_judged(sample, tmp_path):
    from rock_nb import train
    plan = train.prepare('baseline', data=sample, out=tmp_path, run='z', **QUICK)
    train.train(plan, lambda *_: None)
    record = read_json(plan.run.recipe)
    rock_nb.core.write_json(plan.run.recipe, record | dict(recipe=record['recipe'] | dict(smoothing=.3)))
    with pytest.raises(BadInput, match='holds another run .smoothing: 0.3 -> 0.0'):
        train.finish(plan)
    assert not plan.run.done and not plan.run.valid.exists()
