"""A training on toy images that is stopped again and again ends with the bits of one that was not."""
from dataclasses import replace

import pytest
import torch

from rock_nb.training.loop import learn
from rock_nb.training.recipe import Phase
from rock_nb.training.toy import toy_recipe, toy_setup

RECIPES = dict(
    plain=toy_recipe,
    busy=replace(
        toy_recipe, batch_size=4, accumulate=2, sampler='balanced', hard_memory=12, hard_ratio=.25,
        hard_lag=2, ema=.9, clip=1., optimizer='adamw'),
    mixed=replace(toy_recipe, mix='cutmix', schedule='cosine', warmup=1., by_step=True),
    grows=replace(
        toy_recipe, ema=.9, phases=(
            Phase(2, 1e-2, img_size=24), Phase(1, 3e-3, start='best', img_size=24),
            Phase(2, 3e-3, start='best'))))


class Stop(Exception): pass


def stopping(setup, steps: int):
    "Make a training stop after so many steps; a validation counts as part of one."
    left, forward = iter(range(steps * setup.recipe.accumulate)), setup.loss.forward

    def counted(logits, target):
        if next(left, None) is None: raise Stop
        return forward(logits, target)
    setup.loss.forward = counted
    return setup


def learn_in_pieces(folder, recipe, steps: int):
    while True:
        setup = stopping(toy_setup(folder, recipe, checkpoint_seconds=0), steps)
        try: return learn(setup), setup
        except Stop: pass


# what the other two go through is in these, too
SLOW = {'plain', 'mixed'}


@pytest.mark.parametrize(
    'name', [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in RECIPES])
def test_stopped_and_resumed(tmp_path, name):
    whole = toy_setup(tmp_path / 'whole', RECIPES[name])
    straight = learn(whole)
    stopped, last = learn_in_pieces(tmp_path / 'stopped', RECIPES[name], 5)
    assert stopped.to_csv() == straight.to_csv()
    for a, b in zip(last.model.state_dict().values(), whole.model.state_dict().values()):
        assert torch.equal(a, b)
    for file in ('history', 'best'):
        assert getattr(last.run, file).read_bytes() == getattr(whole.run, file).read_bytes()
