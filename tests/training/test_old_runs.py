"""Runs that an earlier version left, with the words of its day (`square`, `stats='half'`, `until='melting'`), are loaded, judged, gone on with and voted with.

`old_runs/` was written by the commit cc4a1d1: a complete run with its weights, one that is called after what was changed in it, two folds and their folder, and an ensemble; of 42 generated images at 40×60 pixels.
"""
import json
import shutil

import pytest

import rock_nb
from conftest import ROOT
from rock_nb.core import BadInput, Run
from rock_nb.core.options import RENAMED
from rock_nb.data.synthetic import make
from rock_nb.data.table import fingerprint
from rock_nb.evaluation.predictions import load_predictions
from rock_nb.folds import fit_folds
from rock_nb.queue import check_training
from rock_nb.training.search import read_space

CHANGED = 'baseline-test_efficientnet-pretrained=False-square=stretch-stats=imagenet'
TINY = dict(scale='smoke', workers=0, arch='test_efficientnet', pretrained=False)


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp('images')/'rocks'
    make(folder, n=42, n_test=7, size=(40, 60))
    return folder


@pytest.fixture
def out(tmp_path, images):
    "A copy of the runs, beside the images that they were made with."
    shutil.copytree(ROOT/'tests'/'old_runs', tmp_path/'runs')
    for run in (tmp_path/'runs').iterdir():
        (run/'environment.json').write_text(json.dumps(dict(data=str(images))))
        # the images are drawn otherwise today: the runs shall know these
        if 'data' in (saved := json.loads((run/'recipe.json').read_text())):
            (run/'recipe.json').write_text(json.dumps(saved | dict(data=fingerprint(rock_nb.read_data(images)))))
    return tmp_path/'runs'


def stamps(out):
    return {p.parent.name: p.stat().st_mtime_ns for p in out.glob('*/metrics.json')}


def test_a_run_is_listed_loaded_and_judged(out, images):
    assert {r.name for r in rock_nb.list_runs(out)} == {
        'old', CHANGED, 'each-fold0', 'each-fold1', 'each-folds', 'vote'}
    run = rock_nb.load_run('old', out)
    recipe = run.recipe()
    assert (recipe.resize_mode, recipe.normalize) == ('crop', 'symmetric')
    assert recipe.phases[0].until == 'plateau'
    assert not any(word in ' '.join(run.changes()) for word in ('square', 'stats', 'melting'))
    assert 0 <= run.score().value <= 1 and 'old' in run._repr_html_()
    answers = run.predict([str(p) for p in sorted((images/'test').iterdir())])
    assert len(answers) == 7 and answers.probability.between(0, 1).all()


@pytest.mark.parametrize('words', [
    dict(square='crop', stats='half'), dict(resize_mode='crop', normalize='symmetric')])
def test_a_complete_run_stays_complete(out, images, words):
    before, given = stamps(out), dict(data=images, out=out, **TINY)
    rock_nb.fit('d_melting', run='old', early_stop=4, batch_size=8, **words, **given)
    both = {n: 'stretch' if v == 'crop' else 'imagenet' for n, v in words.items()}
    assert rock_nb.fit('baseline', **both, **given).name == CHANGED
    mode = {n: v for n, v in words.items() if v == 'crop'}
    assert fit_folds('baseline', run='each', folds=2, **mode, **given).name == 'each-folds'
    rock_nb.ensemble(f'old,{CHANGED}', name='vote', out=out)
    assert stamps(out) == before


def test_another_recipe_is_still_refused(out, images):
    with pytest.raises(BadInput, match="resize_mode: 'crop' -> 'pad'"):
        rock_nb.fit('d_melting', run='old', early_stop=4, resize_mode='pad', normalize='symmetric',
                    batch_size=8, data=images, out=out, **TINY)


def test_it_votes_with_a_new_one(out):
    vote = rock_nb.ensemble(f'old,{CHANGED}', name='again', out=out)
    before, now = (load_predictions(p/'test.npz') for p in (out/'vote', vote.path))
    assert (before.classes, list(before.ids)) == (now.classes, list(now.ids))
    assert (before.logits == now.logits).all()


def test_nothing_old_is_written(out, images):
    run = rock_nb.fit('baseline', square='crop', stats='imagenet', data=images, out=out, run='new',
                      show=lambda *_: None, **TINY)
    text = Run(run.path).recipe.read_text()
    assert not any(f'"{old}":' in text for old, (new, _) in RENAMED.items() if old != new)
    assert json.loads(text)['recipe']['resize_mode'] == 'crop'


def test_spaces_and_jobs(images):
    assert read_space('square=pad,crop stats=half,imagenet') == dict(
        resize_mode=['pad', 'crop'], normalize=['symmetric', 'imagenet'])
    given = dict(run='one', data=str(images), square='crop')
    job = check_training(given | dict(stats='half'))
    assert (job['resize_mode'], job['normalize']) == ('crop', 'symmetric')
    with pytest.raises(BadInput, match='resize_mode is given twice'):
        check_training(given | dict(resize_mode='pad'))
