"""A head that is fitted at once: reproducible, a run like any other, and a start for what follows."""
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import rock_nb
from rock_nb.core import BadInput
from rock_nb.data.synthetic import make
from rock_nb.evaluation.predictions import load_predictions
from rock_nb.training import linear_probe
from rock_nb.training.recipe import Phase
from rock_nb.training.recipes import RECIPES, get_recipe

TINY = dict(arch='test_resnet', pretrained=False, img_size=64, scale='smoke', workers=0)
quiet = dict(show=lambda *a: None)


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    return make(tmp_path_factory.mktemp('probe') / 'photos', n=84, n_test=14, size=(60, 90))


@pytest.fixture
def recipe_of():
    "Adds a recipe for the time of a test."
    added = []

    def add(name, recipe):
        RECIPES[name] = lambda: replace(recipe, name=name)
        added.append(name)
        return name
    yield add
    for name in added: del RECIPES[name]


@pytest.mark.slow
def test_a_run_like_any_other_and_the_same_each_time(photos, tmp_path):
    runs = [rock_nb.fit('frozen', data=photos, out=tmp_path / str(k), **TINY, **quiet) for k in (1, 2)]
    first, second = (load_file(r.path / 'best.safetensors') for r in runs)
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert len(runs[0].history()) == 1 and runs[0].status == 'complete'
    assert len(runs[0].predict(photos / 'test')) == 14
    start = rock_nb.fit('baseline', data=photos, out=tmp_path, run='other', epochs=1, **TINY, **quiet)
    body = [k for k in first if 'running' in k]
    other = load_file(start.path / 'best.safetensors')
    assert any(not torch.equal(first[k], other[k]) for k in body), 'a probe moves no statistics'


def test_it_learns_what_a_body_can_tell(photos, tmp_path):
    run = rock_nb.fit('frozen', data=photos, out=tmp_path, **TINY, **quiet)
    [row] = run.history().to_dict('records')
    assert row['train_f1'] > .6, 'even features of a random body tell most of 58 images apart'
    assert row['train_f1'] > row['valid_f1'] - .05


def test_a_phase_that_follows_begins_at_the_fitted_head(photos, tmp_path, recipe_of):
    probe = get_recipe('frozen')
    still = replace(probe, phases=(probe.phases[0], Phase(1, 1e-12, 'head')), optimizer='sgd', weight_decay=0.,
                    refit=False)
    name = recipe_of('probe_first', still)
    alone = rock_nb.fit('frozen', data=photos, out=tmp_path, **TINY, **quiet)
    both = rock_nb.fit(name, data=photos, out=tmp_path, **TINY, **quiet)
    scores = both.history().valid_f1.to_list()
    assert len(scores) == 2 and scores[0] == alone.history().valid_f1[0]
    assert abs(scores[1] - scores[0]) < 1e-6, 'a learning rate of nothing leaves the head as it was'


def test_the_kept_head_learns_from_validation_images_and_is_not_judged_by_them(photos, tmp_path):
    both = rock_nb.fit('frozen', data=photos, out=tmp_path, run='both', **TINY, **quiet)
    once = rock_nb.fit('frozen', data=photos, out=tmp_path, run='once', refit=False, **TINY, **quiet)
    ours, theirs = (load_predictions(r.path / 'valid.npz') for r in (both, once))
    assert np.allclose(ours.logits, theirs.logits, atol=1e-4) and list(ours.ids) == list(theirs.ids)
    kept, first = (load_file(r.path / 'best.safetensors') for r in (both, once))
    assert sum(not torch.equal(kept[k], first[k]) for k in kept) == 2, 'weight and bias of the head'
    tests = [load_predictions(r.path / 'test.npz') for r in (both, once)]
    assert not np.allclose(tests[0].logits, tests[1].logits, atol=1e-2)


def test_features_say_what_the_network_says(photos, tmp_path):
    run = rock_nb.fit('frozen', data=photos, out=tmp_path, amp='none', tta='hflip', **TINY, **quiet)
    judged = load_predictions(run.path / 'test.npz')
    network = run.predict(photos / 'test')
    assert len(network) == len(judged)
    top = judged.probs.max(1)
    assert np.allclose(network.probability, top, atol=1e-3)


def test_images_pass_the_body_once(photos, tmp_path, monkeypatch):
    seen = []
    original = linear_probe.predict_loader
    def counted(model, loader, *rest, **more):
        seen.append(len(loader.dataset))
        return original(model, loader, *rest, **more)
    monkeypatch.setattr(linear_probe, 'predict_loader', counted)
    rock_nb.fit('frozen', data=photos, out=tmp_path, **TINY, **quiet)
    assert sum(seen) == 84 + 14
    seen.clear()
    rock_nb.fit('frozen', data=photos, out=tmp_path, run='again', valid=.4, **TINY, **quiet)
    assert sum(seen) == 0, 'another split needs no new features'


def test_features_of_one_head_are_not_those_of_another(photos, tmp_path):
    given = dict(data=photos, head='linear', run='linear', **TINY, **quiet)
    alone = rock_nb.fit('frozen', out=tmp_path / 'alone', **given)
    rock_nb.fit('frozen', data=photos, out=tmp_path / 'both', run='root', **TINY, **quiet)
    second = rock_nb.fit('frozen', out=tmp_path / 'both', **given)
    ours, theirs = (load_predictions(r.path / 'test.npz').logits for r in (alone, second))
    assert np.allclose(ours, theirs, atol=1e-5)


def test_several_bodies_side_by_side(photos, tmp_path):
    wide = dict(TINY, arch='test_resnet+test_efficientnet')
    run = rock_nb.fit('frozen', data=photos, out=tmp_path, head='linear', **wide, **quiet)
    assert run.model()[1].classifier.in_features == run.model()[1].num_features == 96 + 256
    assert len(run.predict(photos / 'test')) == 14


@pytest.mark.slow
def test_a_head_fitted_behind_the_tuning(photos, tmp_path, monkeypatch):
    given = dict(data=photos, epochs=4, tta='d7', **TINY, **quiet)
    del given['img_size']      # one size would win over those of the phases
    run = rock_nb.fit('quick', out=tmp_path / 'whole', **given)
    history, metrics = run.history(), json.loads((run.path / 'metrics.json').read_text())
    assert history.phase.to_list() == [0, 0, 1, 2] and metrics['best_epoch'] == 4
    assert not list((tmp_path / 'whole').rglob('features-*')), 'no other run has that body'
    # what judged it is of the head that had not learned from these images
    once = rock_nb.fit('quick', out=tmp_path / 'whole', run='once', refit=False, **given)
    ours, theirs = (load_predictions(r.path / 'valid.npz') for r in (run, once))
    if once.metrics['best_epoch'] == 4: assert np.allclose(ours.logits, theirs.logits, atol=1e-3)
    assert ours.logits.shape[1] == 7
    # stopped behind each epoch
    class Stop(Exception): pass
    def stop(*_): raise Stop
    for _ in range(4):
        with pytest.raises(Stop): rock_nb.fit('quick', out=tmp_path / 'torn', **given | dict(show=stop))
    torn = rock_nb.fit('quick', out=tmp_path / 'torn', **given)
    for file in ('history.csv', 'best.safetensors', 'valid.npz', 'test.npz'):
        assert (torn.path / file).read_bytes() == (run.path / file).read_bytes(), file
    # and without what is clever
    monkeypatch.setenv('ROCK_NB_PLAIN', '1')
    plain = rock_nb.fit('quick', out=tmp_path / 'plain', **given)
    assert plain.history().valid_f1.to_list() == pytest.approx(history.valid_f1.to_list(), abs=.1)


def test_refit_is_for_fitted_heads_only(photos, tmp_path):
    with pytest.raises(BadInput, match='refit is for recipes'):
        rock_nb.fit('baseline', data=photos, out=tmp_path, refit=True, **TINY, **quiet)


def test_more_epochs_are_one(photos, tmp_path):
    run = rock_nb.fit('frozen', data=photos, out=tmp_path, epochs=3, **TINY, **quiet)
    assert len(run.history()) == 1 and json.loads((run.path / 'metrics.json').read_text())['epochs'] == 1


def test_a_head_that_is_not_linear_is_refused(photos, tmp_path):
    with pytest.raises(BadInput, match='does not end in one linear layer'):
        rock_nb.fit('frozen', data=photos, out=tmp_path, head='shallow', **TINY, **quiet)


@pytest.mark.processes
def test_two_processes_have_the_curve_of_one(photos, tmp_path):
    one, two = (
        rock_nb.fit('frozen', data=photos, out=tmp_path, run=name, **TINY, **quiet, **more).history()
        for name, more in (('one', {}), ('two', dict(nproc=2))))
    columns = ['train_loss', 'train_f1', 'valid_loss', 'valid_f1']
    assert one[columns].values == pytest.approx(two[columns].values, abs=1e-5)


@pytest.mark.parametrize('counts,groups,folds', [
    ((2,)*5, None, 2), ((1,)*5, None, 0), ((30, 30, 1), None, 3), ((6, 6), [0]*6 + [*range(1, 7)], 0),
    ((9, 9), [*range(3)]*6, 3)])
def test_as_many_folds_as_the_classes_allow(counts, groups, folds, recwarn):
    "Few photographs of a class, a class in one group: fewer folds, or the middle strength; no warning."
    y, k = np.repeat(np.arange(len(counts)), counts), len(counts)
    groups = np.arange(len(y)) if groups is None else np.array(groups)
    found = linear_probe.few_folds(y, groups)
    assert len(found) == folds and all(len(set(y[fit])) > 1 and len(out) for fit, out in found)
    x = np.random.default_rng(1).normal(size=(len(y), 1, 12)).astype(np.float32)
    head = linear_probe.fit_logistic(x, y, k, groups)
    assert (len(head.scores) > 0) == (folds > 0) and np.isfinite(head.weight).all()
    if not folds: assert head.strength == linear_probe.STRENGTHS[4]
    assert not recwarn.list


def test_features_that_say_nothing(recwarn):
    "Features that never vary give the shares of the classes; those that are no numbers, and one class, a sentence."
    y = np.repeat([0, 1], [6, 3])
    head = linear_probe.fit_logistic(np.ones((9, 1, 40), np.float32), y, 2)
    assert (head.logits(np.ones((2, 40))).argmax(1) == 0).all() and not recwarn.list
    with pytest.raises(BadInput, match='all training images are of one class'):
        linear_probe.fit_logistic(np.ones((9, 1, 4), np.float32), 0*y, 2)


def test_features_that_are_no_numbers_are_refused(photos, tmp_path, monkeypatch):
    before = linear_probe.predict_loader
    def broken(*given, **how):
        found, y, order = before(*given, **how)
        found[3] = np.nan
        return found, y, order
    monkeypatch.setattr(linear_probe, 'predict_loader', broken)
    with pytest.raises(BadInput, match=r'the features of .*\.jpg are not numbers \(1 of '):
        rock_nb.fit('frozen', data=photos, out=tmp_path, **TINY | dict(img_size=40), **quiet)


def test_the_head_is_fitted_to_the_end():
    "Where regularisation is weak too, it answers as a fit of far smaller tolerance."
    from sklearn.linear_model import LogisticRegression
    g = np.random.default_rng(3)
    centre, y = g.normal(size=(5, 300)), g.integers(0, 5, 400)
    x = (.12*centre[y] + g.normal(size=(400, 300))).astype(np.float32)
    seen, rest = x[:250], x[250:]
    head = linear_probe.fit_logistic(seen[:, None], y[:250], 5, strengths=(1.,))
    mean, std = seen.mean(0), seen.std(0)
    exact = LogisticRegression(C=1., tol=1e-9, max_iter=9999).fit((seen - mean)/std, y[:250])
    assert (head.logits(rest).argmax(1) == exact.predict((rest - mean)/std)).mean() > .99
