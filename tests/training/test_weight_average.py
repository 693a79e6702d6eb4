"""Weights between a fitted head and fine-tuning: never worse than both on the validation images, and resumable."""
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import rock_nb
from rock_nb.core import BadInput, Run
from rock_nb.data.synthetic import make
from rock_nb.evaluation.predictions import load_predictions
from rock_nb.training import loop, weight_average
from rock_nb.training.recipe import Phase, check_recipe
from rock_nb.training.recipes import RECIPES, get_recipe

TINY = dict(arch='test_resnet', pretrained=False, img_size=64, scale='smoke', workers=0, show=lambda *a: None)
FIT, TUNE, MEAN = (
    Phase(1, train='head', solver='logistic'), Phase(2, 1e-3, norm='eval'), Phase(1, solver='average'))


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    return make(tmp_path_factory.mktemp('average') / 'photos', n=84, n_test=14, size=(60, 90))


@pytest.fixture
def averaged(monkeypatch):
    "A recipe that fits, tunes and averages."
    recipe = replace(get_recipe('baseline'), phases=(FIT, TUNE, MEAN), amp='none')
    monkeypatch.setitem(RECIPES, 'averaged', lambda: replace(recipe, name='averaged'))


def test_the_best_of_floor_middle_and_tuned_is_kept(photos, tmp_path, averaged):
    run = rock_nb.fit('averaged', data=photos, out=tmp_path, epochs=4, **TINY)
    shares, history = pd.read_csv(run.path / 'average.csv'), run.history()
    assert shares.share.to_list() == [0, .5, 1] and history.phase.to_list() == [0, 1, 1, 2]
    assert shares.macro_f1.iloc[0] == pytest.approx(history.valid_f1[0]), 'the floor is the fitted head'
    assert shares.macro_f1.iloc[2] == pytest.approx(history.valid_f1[2]), 'the end is the last epoch'
    best = shares.loc[shares.log_loss.idxmin()]
    assert history.valid_f1[3] == pytest.approx(best.macro_f1) and run.metrics['best_epoch'] == 4
    judged = load_predictions(run.path / 'valid.npz')
    losses = -np.log(judged.probs[np.arange(len(judged)), judged.labels])
    assert losses.mean() == pytest.approx(best.log_loss, abs=1e-4), 'it is what best.safetensors holds'
    assert not list(run.path.glob('phase*')), 'what the average began with goes with its end'


@pytest.mark.slow
def test_a_stop_before_or_within_the_average_changes_nothing(photos, tmp_path, averaged, monkeypatch):
    given = dict(data=photos, **TINY)
    whole = rock_nb.fit('averaged', out=tmp_path / 'whole', **given)
    class Stop(Exception): pass
    def stop(*a, **k): raise Stop
    for where, name in ((weight_average, 'share_logits'), (loop, 'load_best')):
        with monkeypatch.context() as m, pytest.raises(Stop):
            m.setattr(where, name, stop)
            rock_nb.fit('averaged', out=tmp_path / 'torn', **given)
        assert not Run(tmp_path / 'torn' / 'averaged').done
    torn = rock_nb.fit('averaged', out=tmp_path / 'torn', **given)
    for file in ('history.csv', 'average.csv', 'best.safetensors', 'valid.npz', 'test.npz'):
        assert (torn.path / file).read_bytes() == (whole.path / file).read_bytes(), file


@pytest.mark.slow
def test_with_averages_of_weights_and_without_what_is_clever(photos, tmp_path, averaged, monkeypatch):
    given = dict(data=photos, ema=.5, **TINY)
    fast = rock_nb.fit('averaged', out=tmp_path / 'fast', **given)
    monkeypatch.setenv('ROCK_NB_PLAIN', '1')
    plain = rock_nb.fit('averaged', out=tmp_path / 'plain', **given)
    ours, theirs = (load_predictions(r.path / 'test.npz').probs for r in (fast, plain))
    assert np.abs(ours - theirs).max() < .02


@pytest.mark.parametrize('phases', [(FIT, MEAN), (TUNE, MEAN), (FIT, MEAN, TUNE), (FIT, TUNE, MEAN, MEAN)])
def test_phases_that_cannot_be_averaged_are_refused(phases):
    with pytest.raises(BadInput, match='average comes last, once'):
        check_recipe(replace(get_recipe('baseline'), phases=phases))


@pytest.mark.processes
def test_two_processes_average_as_one(photos, tmp_path, averaged):
    # the other process knows recipes by name only, so one of the library's own
    one, two = (
        rock_nb.fit('wise_ft', data=photos, out=tmp_path, run=name, **TINY, **more).history()
        for name, more in (('one', {}), ('two', dict(nproc=2, batch_size=4))))
    columns = ['valid_loss', 'valid_f1']
    assert one[columns].values == pytest.approx(two[columns].values, abs=.02)
