"""People in folders, three attributes in their names: a joint class, a head each, a network each; an age shifted for training alone."""
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from rock_nb.core import Run, read_json
from rock_nb.data.attributes import codebook
from rock_nb.data.table import read_data
from rock_nb.evaluation.attribute_scores import combine
from rock_nb.evaluation.predictions import load_predictions
from rock_nb.train import fit

RULES = '''
def facts(path):
    person, sex, age, worn = path.replace('.png', '').replace('/', '_').split('_')
    return dict(group=person, mask=worn, sex=sex, age='old' if int(age) >= 60 else 'young')

def older(row):
    return row['label'].replace('young', 'old') if '_58' in row['path'] else row['label']
'''
GIVEN = dict(
    version='baseline', arch='test_resnet', pretrained=False, img_size='32,24',
    resize_mode='stretch', batch_size=8, epochs=2, scale='full', folds=3, workers=0)


@pytest.fixture(scope='module')
def people(tmp_path_factory):
    root, gen = tmp_path_factory.mktemp('people'), np.random.default_rng(41)
    (root / 'rules.py').write_text(RULES)
    for i in range(48):
        folder = root / 'faces' / f"p{i:02d}_{('female', 'male')[i % 2]}_{(30, 58, 63)[i//2 % 3]}"
        folder.mkdir(parents=True)
        for worn in ('mask', 'bare'):
            Image.fromarray(gen.integers(0, 255, (40, 30, 3), dtype=np.uint8)).save(
                folder / f'{worn}.png')
    return root


def train(people, out, **more) -> Run:
    return fit(
        **{
            **GIVEN, 'data': people / 'faces', 'out': out, 'label': f'{people}/rules.py:facts',
            **more},
        show=lambda *_: None)


@pytest.mark.slow
def test_heads_and_networks(people, tmp_path):
    joint, heads = (train(people, tmp_path, run=t, target=t) for t in ('joint', 'heads'))
    for run in (joint, heads):
        metrics = read_json(run.metrics)['valid']
        assert len(read_json(run.recipe)['classes']) == 8
        assert list(metrics['attributes']) == ['overall', 'mask', 'sex', 'age'] and metrics[
            'attributes']['overall'] == pytest.approx(metrics['f1'])
    # 2 + 2 + 2 outputs, not 8
    assert read_json(heads.metrics)['parameters'] < read_json(joint.metrics)['parameters']

    split = pd.read_csv(joint.split)
    assert split.groupby('group').part.nunique().max() == 1
    alone = {a: train(people, tmp_path, run=a, target=a) for a in ('mask', 'sex', 'age')}
    from rules import facts
    codes = codebook(read_data(people / 'faces', label=facts).train)
    together = combine({a: load_predictions(r.valid) for a, r in alone.items()}, codes)
    assert (
        sorted(together.ids) == sorted(load_predictions(joint.valid).ids)
        and together.probs.shape[1] == 8)


@pytest.fixture(autouse=True)
def rules(people, monkeypatch): monkeypatch.syspath_prepend(str(people))


def test_shift_is_for_training_alone(people, tmp_path):
    plain = pd.read_csv(train(people, tmp_path, run='plain').split)
    shifted = pd.read_csv(
        train(people, tmp_path, run='shifted', shift=f'{people}/rules.py:older').split)
    changed = plain.label != shifted.label
    assert (
        changed.any() and (plain.part[changed] == 'train').all()
        and plain.path[changed].str.contains('_58').all())
    assert (changed == (plain.path.str.contains('_58') & (plain.part == 'train'))).all()
