"""Photographs planted with a wrong class are what the memory of hard photographs holds after two epochs, however many workers load them."""
import numpy as np
import pytest
from PIL import Image

from rock_nb.train import prepare, train

COLOURS = dict(blue=(60, 80, 170), green=(70, 160, 80), red=(170, 70, 60))
PLANTED, EACH = 8, 160    # of each class


@pytest.fixture(scope='module')
def stones(tmp_path_factory):
    "Coloured noise; of each class some lie in the folder of the next one, under names that tell."
    root, gen, names = tmp_path_factory.mktemp('stones'), np.random.default_rng(41), list(COLOURS)
    for k, name in enumerate(names):
        for i in range(EACH + PLANTED):
            folder = names[(k + 1) % 3] if i >= EACH else name
            image = np.clip(
                np.array(COLOURS[name]) + gen.normal(0, 30, (36, 36, 3)), 0, 255).astype(np.uint8)
            (root / folder).mkdir(exist_ok=True)
            Image.fromarray(image).save(
                root / folder / f"{'planted' if i >= EACH else name}-{k}{i:02d}.png")
    return root


@pytest.mark.parametrize('workers', [0, 4])
def test_memory_holds_what_was_planted(workers, stones, tmp_path):
    # one seat in sixteen goes to the memory, so that nearly all photographs are seen in the second epoch, too
    plan = prepare(
        'baseline', data=stones, out=tmp_path, scale='full', arch='test_resnet', pretrained=False,
        img_size=32, batch_size=16, epochs=2, lr=1e-3, workers=workers, sampler='balanced',
        hard_memory=60, hard_ratio=0.0625, hard_lag=6)
    train(plan)
    memory = plan.setup.hard_examples
    rows = plan.parts[plan.parts.part == 'train'].reset_index(drop=True)
    memory.advance(memory.base.step + len(memory.queue))     # what the last steps brought, too
    planted = set(np.flatnonzero(rows.path.str.contains('planted')))
    recall = len(planted & set(memory.now.index.tolist()))/len(planted)
    assert len(planted) >= 10 and recall >= .9, recall
    report = memory.summary()
    assert report['asked'] == .0625 and 0 < report['got'] <= .0625 and report['lag'] == 6
