"""Real photographs: odd formats, lying endings, given folds with groups; a short training that must beat guessing by far."""
import numpy as np

from rock_nb.core import read_json
from rock_nb.data.audit import audit, readable
from rock_nb.data.loader import Photos
from rock_nb.data.split import split_data
from rock_nb.data.transform import evaluation
from rock_nb.judge.predict import load_predictions
from rock_nb.train import fit


def test_every_photograph_is_read(photos, tmp_path):
    data, parts, skipped = split_data(photos / 'images', photos / 'folds.csv', fold=1, test_fold=0, out=tmp_path)
    facts = audit(data, tmp_path)
    assert len(skipped) == 0 and len(data.train) == len(facts) and len(data.classes) > 1
    assert {'JPEG', 'PNG'} <= set(facts.format) and len(set(facts['mode'])) > 1
    assert parts.groupby('group').part.nunique().max() == 1
    odd = facts[(facts.format != 'JPEG') | (facts['mode'] != 'RGB')].index[:40]
    items = Photos([str(data.root / p) for p in odd], transform=evaluation('pad', 64))
    assert all(tuple(items[i][0].shape) == (64, 64, 3) for i in range(len(items)))


def test_packaged_weights_learn(photos, tmp_path):
    run = fit('v2', arch='tf_efficientnet_lite0', data=photos / 'images', folds=photos / 'folds.csv', fold=1, test_fold=0,
              augment='none', img_size=96, batch_size=32, epochs=2, out=tmp_path)
    assert read_json(run.recipe)['start'] == 'pretrained'
    test = load_predictions(run.test)
    lazy = np.bincount(test.labels).max() / len(test)
    scores = read_json(run.metrics)['test']
    assert scores['f1'] > .35 and scores['accuracy'] > 1.3 * lazy
