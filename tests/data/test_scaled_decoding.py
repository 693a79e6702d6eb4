"""Phone photographs decoded at a fraction of their size: nearly the pixels of the whole, the same ones wherever a run looks."""
import itertools
import json

import numpy as np
import pytest
from PIL import ImageCms

from conftest import TINY
from rock_nb.bench.photographs import phone_photograph
from rock_nb.core import BadInput, Run
from rock_nb.data.augmentations import least_side, training
from rock_nb.data.image import ImageReader
from rock_nb.data.resize import SQUARES, evaluation
from rock_nb.data.synthetic import make
from rock_nb.evaluation.inference_dataset import InferenceDataset
from rock_nb.evaluation.predictions import load_predictions
from rock_nb.predict import try_images
from rock_nb.train import fit
from rock_nb.training.load_run import load_network

def differences(whole: np.ndarray, scaled: np.ndarray) -> tuple[float, float]:
    "The mean absolute difference of two images, and that which one pixel in a hundred exceeds."
    apart = np.abs(whole.astype(int) - scaled)
    return apart.mean(), np.percentile(apart, 99)


@pytest.mark.parametrize('number', [0, 1])
def test_nearly_the_pixels_of_the_whole(tmp_path, number):
    "Twelve million pixels at 224 and 256 px: less than one of 255 apart on average."
    file = tmp_path/'phone.jpg'
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    file.write_bytes(phone_photograph(number, icc_profile=srgb))
    whole, upright = ImageReader()(file), (4000, 3000) if number else (3000, 4000)
    assert whole.shape[:2] == upright
    for size, name in itertools.product((224, 256), SQUARES):
        enough = least_side(training('none', size, name), size)
        scaled = ImageReader(min_side=enough)(file)
        assert scaled.shape[:2] == tuple(n//(4 if name == 'pad' else 8) for n in upright)
        mean, far = differences(
            *(evaluation(name, size)(image=a)['image'] for a in (whole, scaled)))
        assert mean < 1 and far <= 4, (name, size, mean, far)


@pytest.mark.parametrize('ratio', [2, 2.3, 3.1, 4, 5.5, 8, 9.7])
def test_bound_at_any_size(tmp_path, ratio):
    "Also where the file is just large enough, or no multiple of eight."
    short = round(96*ratio)
    file = tmp_path/'photo.jpg'
    file.write_bytes(phone_photograph(1, (round(short*1.37), short)))
    images = [
        evaluation('stretch', 96)(image=ImageReader(min_side=s)(file))['image'] for s in (None, 96)]
    mean, far = differences(*images)
    assert mean < 2 and far <= 8, (mean, far)


def test_colours_are_converted_as_ever(tmp_path):
    "A profile other than sRGB goes through the same conversion, on fewer pixels."
    file = tmp_path/'photo.jpg'
    from test_pixels import P3
    file.write_bytes(phone_photograph(0, (800, 600), icc_profile=P3))
    whole, small = (ImageReader(min_side=s)(file) for s in (None, 100))
    plain = ImageReader(min_side=100, icc=False)(file)
    means = [a.mean((0, 1)) for a in (whole, small, plain)]
    assert np.abs(means[0] - means[1]).max() < .5 < np.abs(means[1] - means[2]).max()


@pytest.mark.slow
def test_one_way_to_read_in_training_pack_and_prediction(tmp_path):
    "A run with scaled decoding says so, and answers the same by its record, from a pack or from files."
    data = make(tmp_path/'data', n=56, n_test=7, size=(150, 300))
    how = dict(TINY, data=str(data), out=str(tmp_path/'out'), workers=0, show=lambda *a: None)
    runs = {
        (decode, pack): fit(run=f'{decode}-{pack}', decode=decode, pack=pack, **how)
        for decode, pack in (('full', 'none'), ('scaled', 'none'), ('scaled', 'raw'))}
    record = lambda run: json.loads(run.recipe.read_text())['recipe']
    assert 'decode' not in record(runs['full', 'none'])
    assert record(runs['scaled', 'raw'])['decode'] == 'scaled'
    logits = {k: load_predictions(r.valid) for k, r in runs.items()}
    assert (logits['scaled', 'none'].logits == logits['scaled', 'raw'].logits).all()
    assert (logits['scaled', 'none'].logits != logits['full', 'none'].logits).any()
    run, known = runs['scaled', 'raw'], logits['scaled', 'raw']
    again, bad = try_images(run, [str(data/i) for i in known.ids], workers=0, out=str(tmp_path/'out'))
    assert not bad and np.abs(again.logits - known.logits).max() < 1e-4
    n = load_network(run)
    assert n.reader.min_side == 64
    seen = InferenceDataset([str(data/known.ids[0])], n.recipe.resize_mode, n.size, reader=n.reader)
    whole = ImageReader()(data/known.ids[0])
    assert n.reader(data/known.ids[0]).shape[0] <= whole.shape[0]//2 + 1
    assert seen[0][0].shape == (32, 32, 3)


def test_refused_where_pixels_are_counted(sample, tmp_path):
    with pytest.raises(BadInput, match="decode 'scaled' does not go with RandomCenterCrop"):
        fit('b_davit', data=str(sample), out=str(tmp_path), decode='scaled', **TINY)
    assert not Run(tmp_path/'b_davit').path.exists()
