"""The plain twins: a whole training, and a prediction, on them alone gives what the fast code gives."""
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from rock_nb.core import Run, use_fast
from rock_nb.predict import main as predict
from rock_nb.train import fit

pytestmark = pytest.mark.slow

# every layer learns / the first phases freeze a part of the network
RECIPES = dict(baseline=dict(version='baseline'), v3=dict(version='v3', amp='none'))


@pytest.fixture(scope='module')
def runs(sample, tmp_path_factory) -> dict[tuple, Run]:
    "(recipe, fast or plain) -> its run and the CSV file of its predictions for the test images."
    found = {}
    for mode in ('fast', 'plain'):
        with pytest.MonkeyPatch.context() as patch:
            if mode == 'plain': patch.setenv('ROCK_NB_PLAIN', '1')
            assert use_fast() == (mode == 'fast')
            out = tmp_path_factory.mktemp(mode)
            for name, given in RECIPES.items():
                fit(
                    run=name, data=str(sample), out=str(out), arch='resnet18', scale='smoke',
                    workers=0, show=lambda *a: None, **given)
                answers = out / name / 'answers.csv'
                words = ['--run', name, '--out', str(out), '--csv', str(answers)]
                predict([str(sample / 'test'), *words])
                found[name, mode] = Run(out / name), answers
    return found


def history(run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    "What is equal in both, columns of training; what is equal to rounding, those of validation."
    table = pd.read_csv(run.history)
    judged = [c for c in table if c.startswith('valid')]
    return table.drop(columns=judged), table[judged]


@pytest.mark.parametrize('name', RECIPES)
def test_same_split_and_predictions(runs, name):
    (fast, fast_csv), (plain, plain_csv) = runs[name, 'fast'], runs[name, 'plain']
    assert fast.split.read_bytes() == plain.split.read_bytes()
    tolerance = dict(atol=1e-3, rtol=1e-3)       # folded weights are rounded otherwise
    for file in ('valid.npz', 'test.npz'):
        with np.load(fast.path / file) as a, np.load(plain.path / file) as b:
            np.testing.assert_allclose(a['logits'], b['logits'], **tolerance)
    a, b = pd.read_csv(fast_csv), pd.read_csv(plain_csv)
    assert list(a) == list(b) and len(a) == len(b) > 0
    for column in a:
        same = a[column].equals(b[column])
        assert same or np.allclose(a[column].astype(float), b[column].astype(float), **tolerance)


def test_weights_are_equal_where_nothing_is_frozen(runs):
    fast, plain = (runs['baseline', mode][0] for mode in ('fast', 'plain'))
    assert fast.best.read_bytes() == plain.best.read_bytes()
    (trained, judged), (same, close) = history(fast), history(plain)
    pd.testing.assert_frame_equal(trained, same, check_exact=True)
    pd.testing.assert_frame_equal(judged, close, atol=1e-4, rtol=1e-4)


def test_weights_are_close_where_a_part_is_frozen(runs):
    fast, plain = (runs['v3', mode][0] for mode in ('fast', 'plain'))
    weights, same = load_file(fast.best), load_file(plain.best)
    assert list(weights) == list(same)
    for k in weights:       # the frozen beginning is folded: features differ by rounding
        torch.testing.assert_close(weights[k], same[k], atol=5e-3, rtol=1e-3)
