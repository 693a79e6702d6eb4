"""What must hold whatever is drawn: tables, layouts, splits, audit, packs, samplers, decisions, votes and recipes.

Hypothesis draws the inputs, the same ones each time (`derandomize`).
"""

import csv
import io
import itertools
import json
import os
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from rock_nb.core import BadInput
from rock_nb.core.options import options_of
from rock_nb.data.audit import decode
from rock_nb.data.duplicates import differing, near_hashes, sets
from rock_nb.data.image import read_image
from rock_nb.data.sampler import Batches
from rock_nb.data.split import holdout, kfold, split
from rock_nb.data.table import fingerprint, read_data
from rock_nb.data.tabular import nfc, read_text
from rock_nb.evaluation.decision import (
    Decision,
    Rule,
    correct_prior,
    coverage,
    fit_abstention,
    fit_decision,
)
from rock_nb.evaluation.predictions import Predictions, load_predictions, save_predictions
from rock_nb.evaluation.voting import hard_vote, soft_vote, votes
from rock_nb.speed.decoded_cache import Pack
from rock_nb.training.recipe import OVERRIDES, OfPhases, Recipe, from_dict, to_dict, with_fields
from rock_nb.training.recipe import check_recipe
from rock_nb.training.recipes import RECIPES


MORE = int(os.environ.get('ROCK_NB_EXAMPLES', 1))  # times as many inputs


def drawn(n: int):
    "The same `n` inputs each time, however long one takes."
    return settings(
        max_examples=n * MORE,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


def refused(f, *args, **how):
    "A result, or None where it is refused with one sentence."
    try:
        return f(*args, **how)
    except BadInput as e:
        assert '\n' not in str(e)
        return None


# --- tables

CELL = st.text(st.characters(exclude_categories=['Cs'], exclude_characters='\0'), max_size=12)
NAMES = ('path', 'label', 'rock, note', 'width;', 'x|y', '이름', 'a b', '=1+1')
clean = lambda c: nfc(c.strip()).strip('\u200b\u200c\u200d\u200e\u200f\u2060\ufeff').strip()


@drawn(150)
@given(
    st.lists(st.sampled_from(NAMES), min_size=2, max_size=5, unique=True),
    st.data(),
    st.sampled_from(',;\t|'),
    st.sampled_from(['\n', '\r\n']),
    st.sampled_from(['utf-8', 'utf-8-sig', 'utf-16']),
)
def test_a_table_is_read_as_it_was_written(names, data, sep, end, encoding):
    rows = data.draw(st.lists(st.tuples(*[CELL] * len(names)), max_size=6))
    rows = [('x', *r[1:]) if not any(map(clean, r)) or r[0].startswith('sep=') else r for r in rows]
    text = io.StringIO()
    csv.writer(text, delimiter=sep, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(
        [names, *rows]
    )
    with tempfile.TemporaryDirectory() as d:
        file = Path(d) / 'own.csv'
        file.write_bytes(text.getvalue().encode(encoding))
        found = read_text(file)
    assert list(found) == names
    assert found.values.tolist() == [[clean(c) for c in r] for r in rows]


LETTERS = 'abcXYZ 019-_.()&가나йд石é'
CLASS = (
    st.text(LETTERS, min_size=1, max_size=8)
    .map(str.strip)
    .filter(lambda c: c.strip('. ') and c[0] not in '._')
)


@pytest.fixture(scope='module')
def stone(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp('stone') / 'stone.png'
    Image.new('RGB', (8, 6), (90, 80, 70)).save(file)
    return file


def put(stone: Path, file: Path):
    file.parent.mkdir(parents=True, exist_ok=True)
    os.link(stone, file)


@drawn(60)
@given(
    st.dictionaries(CLASS, st.integers(1, 4), min_size=2, max_size=5),
    st.randoms(use_true_random=False),
)
def test_folders_and_their_table_say_the_same(stone, counts, random):
    "Each image has the class of its folder, from the folders and from a table of them in any order; or all is refused."
    with tempfile.TemporaryDirectory(dir=stone.parent) as d:
        rows = [(f'{c}/{i}.png', c) for c, n in counts.items() for i in range(n)]
        for p, _ in rows:
            put(stone, Path(d) / 'data' / p)
        folders = refused(read_data, Path(d) / 'data')
        if folders is not None:
            assert dict(zip(folders.train.path, folders.train.label)) == {
                p: nfc(c) for p, c in rows
            }
        random.shuffle(rows)
        text = io.StringIO()
        csv.writer(text).writerows([('path', 'label'), *rows])
        (Path(d) / 'data' / 'own.csv').write_text(text.getvalue(), encoding='utf-8')
        table = refused(read_data, Path(d) / 'data' / 'own.csv')
        if table is not None:
            assert dict(zip(table.train.path, table.train.label)) == {p: nfc(c) for p, c in rows}
            assert table.train.path.tolist() == sorted(p for p, _ in rows)
        if folders is not None and table is not None:
            assert fingerprint(folders) == fingerprint(table)


PARTS = dict(
    train=('train', 'training', 'Train_images'),
    valid=('val', 'valid', 'Validation'),
    test=('test', 'testing', 'TEST'),
)


@drawn(60)
@given(
    st.sampled_from(['folders', 'column', 'tables']),
    st.lists(
        st.sampled_from(['Basalt', 'Granite', 'Marble', 'Gneiss']),
        min_size=2,
        max_size=4,
        unique=True,
    ),
    st.dictionaries(st.sampled_from(['valid', 'test']), st.integers(1, 3)),
    st.integers(0, 2),
    st.booleans(),
)
def test_no_layout_mixes_parts_or_classes(stone, form, classes, more, word, flat):
    "Whatever way parts are named, an image has the class and the part that its name says, or all is refused."
    sizes = dict(train=3) | more
    with tempfile.TemporaryDirectory(dir=stone.parent) as d:
        root, rows = Path(d) / 'data', []
        for part, n in sizes.items():
            for c, i in itertools.product(classes, range(n)):
                name = f'{part}-{c}-{i}.png'
                place = (
                    f'{PARTS[part][word]}/{name}'
                    if flat and form != 'folders'
                    else f'{PARTS[part][word]}/{c}/{name}'
                )
                if form == 'column':
                    place = f'images/{name}'
                put(stone, root / place)
                rows.append((place, c, part))
        source = root
        if form == 'column':
            source = root / 'own.csv'
            source.write_text('\n'.join(['file,rock,split', *(','.join(r) for r in rows)]))
        if form == 'tables':
            for part in sizes:
                lines = [f'{p},{c}' for p, c, q in rows if q == part]
                (root / f'{PARTS[part][word]}.csv').write_text('\n'.join(['path,label', *lines]))
        data = refused(read_data, source)
        if data is None:
            return
        train = data.train
        fold = train.fold if 'fold' in train else pd.Series(-1, train.index)
        seen = {
            Path(p).stem: ('train' if f < 0 else 'valid', c)
            for p, c, f in zip(train.path, train.label, fold)
        }
        if data.test is not None:
            labels = data.test.label if 'label' in data.test else [None] * len(data.test)
            tests = {Path(p).stem: ('test', c) for p, c in zip(data.test.path, labels)}
            assert not seen.keys() & tests.keys()
            seen |= tests
        assert len(seen) == len(rows)
        for name, (part, c) in seen.items():
            assert name.startswith(f'{part}-') and c in (None, name.split('-')[1])


# --- splits

FRAME = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8)), min_size=4, max_size=60).map(
    lambda rows: pd.DataFrame(
        dict(
            path=[f'{i:03}.jpg' for i in range(len(rows))],
            label=['abcd'[c] for c, _ in rows],
            group=[f'g{g}' for _, g in rows],
        )
    )
)


@drawn(60)
@given(FRAME, st.booleans(), st.integers(2, 5), st.integers(0, 2**31 - 1))
def test_folds_are_whole_and_the_same_each_time(frame, grouped, n, seed):
    frame = frame if grouped else frame.drop(columns='group')
    fold = refused(kfold, frame, n, seed)
    if fold is None:
        return
    assert fold.shape == (len(frame),) and {*fold} <= {*range(n)}
    assert (kfold(frame, n, seed) == fold).all()
    if grouped:
        assert (frame.assign(fold=fold).groupby('group').fold.nunique() == 1).all()
    else:
        sizes = pd.crosstab(frame.label, fold)
        assert (sizes.max(axis=1) - sizes.min(axis=1) <= 1).all()  # as even as can be
    for f in range(n):
        parts = refused(split, frame, n_folds=n, fold=f, seed=seed)
        if parts is not None:
            assert {*parts.label} == {*parts.label[parts.part == 'train']} and {*parts.part} <= {
                'train',
                'valid',
            }


@drawn(60)
@given(FRAME, st.booleans(), st.floats(0.05, 0.9), st.integers(0, 2**31 - 1))
def test_a_holdout_leaves_every_class_something_to_learn(frame, grouped, share, seed):
    frame = frame if grouped else frame.drop(columns='group')
    parts = refused(split, frame, valid=share, seed=seed)
    if parts is None:
        return
    held = (parts.part == 'valid').to_numpy()
    assert held.any() and {*frame.label[~held]} == {*frame.label}
    assert (holdout(frame, share, seed) == held).all()
    if grouped:
        assert (frame.assign(held=held).groupby('group').held.nunique() == 1).all()


@drawn(40)
@given(st.integers(1, 30), st.data())
def test_sets_are_what_hangs_together(n, data):
    pairs = data.draw(
        st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=40)
    )
    found = sets(n, np.array(pairs, int).reshape(-1, 2))
    parent = list(range(n))

    def root(i):
        while parent[i] != i:
            i = parent[i]
        return i

    for a, b in pairs:
        parent[root(a)] = root(b)
    for a, b in itertools.combinations(range(n), 2):
        assert (found[a] == found[b]) == (root(a) == root(b))
    assert list(dict.fromkeys(found)) == list(
        range(found.max() + 1)
    )  # counted by their first members


@drawn(40)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=12), st.data())
def test_near_hashes_are_all_found(hashes, data):
    for h in list(hashes):  # relatives
        for bits in data.draw(st.lists(st.sets(st.integers(0, 63), max_size=6), max_size=2)):
            hashes.append(
                int(
                    np.int64(h)
                    ^ np.bitwise_xor.reduce(
                        [np.int64(np.uint64(1) << np.uint64(b)) for b in bits] or [np.int64(0)]
                    )
                )
            )
    a = np.array(hashes, np.int64)
    right = {
        (i, j)
        for i, j in itertools.combinations(range(len(a)), 2)
        if differing(a[i : i + 1], a[j : j + 1])[0] <= 6
    }
    assert {tuple(p) for p in near_hashes(a, 6).tolist()} == right


# --- audit and packs

PICTURE = st.tuples(
    st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32 - 1), st.booleans()
).map(
    lambda d: np.random.default_rng(d[2]).integers(
        0, 256, (d[0], d[1], 3) if d[3] else (d[0], d[1]), dtype=np.uint8
    )
)


def saved(a: np.ndarray, form: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(a).save(buffer, form, **(dict(lossless=True) if form == 'WEBP' else {}))
    return buffer.getvalue()


@drawn(40)
@given(PICTURE, st.sampled_from(['PNG', 'TIFF', 'BMP', 'WEBP', 'PPM']))
def test_the_audit_sees_the_picture_and_not_its_format(a, form):
    one, other = decode(saved(a, 'PNG')), decode(saved(a, form))
    facts = ('width', 'height', 'red', 'green', 'blue', 'brightness', 'contrast', 'phash', 'small')
    assert [one[f] for f in facts] == [other[f] for f in facts]
    assert (one['width'], one['height']) == a.shape[1::-1] and int(a.min()) - 1 <= one[
        'brightness'
    ] <= int(a.max()) + 1


@drawn(8)
@given(
    st.lists(PICTURE, min_size=1, max_size=6), st.lists(st.integers(0, 5), min_size=1, max_size=12)
)
def test_a_pack_gives_what_the_files_hold(pictures, asked):
    "In any order, again and again, from one that was begun by another, and after a file has changed."
    with tempfile.TemporaryDirectory() as d:
        files = [f'{d}/{i}.png' for i in range(len(pictures))]
        for f, a in zip(files, pictures):
            Path(f).write_bytes(saved(a, 'PNG'))
        time.sleep(0.06)  # younger files are not kept
        right = [read_image(f) for f in files]
        for _ in range(2):
            pack = Pack(Path(d) / 'packs', [], spare=0)
            for i in (k % len(files) for k in asked):
                assert (pack(files[i]) == right[i]).all()
        first = asked[0] % len(files)
        Path(files[first]).write_bytes(saved(255 - pictures[first], 'PNG'))
        assert (pack(files[first]) == read_image(files[first])).all() and len(pack.store) <= len(
            files
        )


# --- samplers


@drawn(60)
@given(
    st.lists(st.integers(0, 4), min_size=6, max_size=60),
    st.integers(5, 16),
    st.sampled_from(['shuffle', 'weighted', 'ratio', 'balanced']),
    st.sampled_from([(1, 1), (2, 1), (2, 2), (4, 2)]),
    st.integers(0, 3),
    st.integers(0, 2**31 - 1),
)
def test_processes_share_what_a_sampler_draws(labels, size, kind, cut, epoch, seed):
    """All pieces together are the batch; a resumed epoch is the end of the whole one; nothing is drawn
    under one key twice."""
    pieces, world = cut
    how = dict(kind=kind, balance=0.5, seed=seed, pieces=pieces, world=world)
    make = lambda rank: refused(Batches, labels, 5, size, rank=rank, **how)
    ranks = [make(r) for r in range(world)]
    if ranks[0] is None:
        assert None is ranks[-1]
        return
    for b in ranks:
        b.epoch = epoch
    each = [list(b) for b in ranks]
    assert [len(e) for e in each] == [len(b) for b in ranks]
    per = pieces // world
    rows, keys = [], []
    for step in range(ranks[0].steps):
        parts = [k for e in each for part in e[step * per : (step + 1) * per] for k in part]
        assert sorted(k.index for k in parts) == sorted(ranks[0].rows(epoch, step).tolist())
        rows.append([k.index for k in parts])
        keys += parts
    if kind == 'shuffle':
        assert sorted(i for r in rows for i in r) == list(range(len(labels)))
    if kind == 'balanced':
        for r in rows:
            n = Counter(labels[i] for i in r)
            assert max(n.values()) - min(n[c] for c in {*labels}) <= 1 and len(r) == size
    if kind != 'balanced':
        assert len(set(keys)) == len(keys)
    start = ranks[0].steps // 2
    again = make(0)
    again.epoch, again.start = epoch, start
    assert list(again) == each[0][start * per :]


# --- decisions and votes


def probabilities(seed: int, n: int, k: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(k, 0.6), n)


CASE = st.tuples(st.integers(0, 2**32 - 1), st.integers(8, 40), st.integers(2, 6))


@drawn(30)
@given(
    CASE,
    st.sampled_from(['none', 'temperature', 'vector']),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, 0.6]),
)
def test_a_decision_is_the_same_from_its_file_and_for_classes_in_any_order(
    case, calibration, prior, rule, precision
):
    seed, n, k = case
    gen = np.random.default_rng(seed)
    labels = gen.permutation(np.arange(n) % k)
    logits = (gen.normal(size=(n, k)) + 2 * np.eye(k)[labels]).astype(np.float32)
    classes = [f'c{i}' for i in range(k)]
    made = refused(
        fit_decision,
        logits,
        labels,
        classes,
        calibration,
        prior=np.bincount(labels) if prior else None,
        by_rule=rule,
        precision=precision,
    )
    if made is None:
        return
    again = Decision.from_dict(json.loads(json.dumps(made.to_dict())))
    assert again == made
    p = made.probs(logits)
    assert np.isfinite(p).all() and np.allclose(p.sum(1), 1)
    order = gen.permutation(k)
    asked = Predictions(
        np.arange(n).astype(str), logits[:, None, order], tuple(classes[i] for i in order)
    )
    straight = Predictions(np.arange(n).astype(str), logits[:, None], tuple(classes))
    assert made(asked).equals(made(straight))
    if precision:
        d = made(straight)
        right = d.predicted == np.array(classes)[labels]
        assert right[d.decided].mean() >= precision - 1e-9


@drawn(60)
@given(CASE, st.floats(-1, 2))
def test_corrections_keep_probabilities(case, tau):
    p = probabilities(*case)
    n, k = p.shape
    even = correct_prior(p, np.ones(k), tau)
    assert np.allclose(even, p) and (Rule.argmax(k)(p) == p.argmax(1)).all()
    prior = np.arange(1, k + 1)
    there = correct_prior(p, prior, tau)
    assert np.allclose(there.sum(1), 1) and np.allclose(
        correct_prior(there, prior, -tau), p, atol=1e-6
    )
    labels = np.random.default_rng(case[0]).integers(0, k, n)
    curve = coverage(p, labels)
    assert (
        curve.threshold.is_monotonic_decreasing
        and curve.coverage.is_monotonic_increasing
        and curve.coverage.iloc[-1] == 1
    )
    threshold = refused(fit_abstention, p, labels, 0.5)
    if threshold is not None:
        decided = p.max(1) >= threshold
        assert (labels == p.argmax(1))[decided].mean() >= 0.5


@drawn(40)
@given(CASE, st.integers(1, 4), st.data())
def test_votes_do_not_depend_on_the_order_of_anything(case, voters, data):
    seed, n, k = case
    gen = np.random.default_rng(seed)
    classes, ids = np.array([f'c{i}' for i in range(k)]), np.arange(n).astype(str)
    labels = gen.integers(0, k, n)
    parts, turned = [], []
    for v in range(voters):
        logits = np.log(probabilities(seed + v, n, k) + 1e-6)[:, None].astype(np.float32)
        parts.append(Predictions(ids, logits, tuple(classes), labels))
        rows, columns = gen.permutation(n), gen.permutation(k)
        turned.append(
            Predictions(
                ids[rows],
                logits[rows][..., columns],
                tuple(classes[columns]),
                np.argsort(columns)[labels][rows],
            )
        )
    weights = data.draw(
        st.none() | st.lists(st.integers(0, 9), min_size=voters, max_size=voters).filter(any)
    )
    share = votes(weights, ['v'] * voters)
    assert np.isclose(share.sum(), 1) and np.allclose(
        share, votes([3 * w for w in weights] if weights else None, ['v'] * voters)
    )
    one, other = soft_vote(parts, weights), soft_vote([parts[0], *turned[1:]], weights)
    assert np.allclose(one.probs, other.probs) and (one.labels == other.labels).all()
    if voters == 1:
        assert np.allclose(one.probs, parts[0].probs, atol=1e-5)
    counts = dict(zip(classes, range(1, k + 1)))
    a, b = hard_vote(parts, counts), hard_vote([parts[0], *turned[1:]], counts)
    assert (a.preds == b.preds).all()
    named = np.stack([p.preds for p in parts])
    for i in range(n):  # of those named most often the rarest
        most = Counter(named[:, i]).most_common()
        best = [c for c, m in most if m == most[0][1]]
        assert a.preds[i] == min(best)
    with tempfile.TemporaryDirectory() as d:
        save_predictions(f'{d}/p.npz', one)
        again = load_predictions(f'{d}/p.npz')
    assert (
        again.classes == one.classes
        and (again.logits == one.logits).all()
        and (again.ids == one.ids).all()
    )


# --- recipes


def values(name: str, o) -> st.SearchStrategy:
    "Values of an option that are right by what it says of itself."
    kind, choices, between = str(o.type), o.metadata['choices'], o.metadata['between']
    if choices is not None:
        return st.sampled_from([c for c in choices if isinstance(c, str)])
    if 'bool' in kind and 'str' not in kind:
        return st.booleans()
    if between and 'float' in kind:
        return (
            st.floats(*between)
            .map(lambda x: float(f'{x:.4g}'))
            .filter(lambda x: between[0] <= x <= between[1])
        )
    if between:
        return st.integers(*map(int, between))
    if name == 'img_size':
        return st.integers(16, 512) | st.tuples(st.integers(16, 512), st.integers(16, 512))
    if name == 'bands':
        return st.sampled_from([None, (1,), (3, 2, 1)])
    return st.nothing()


FIELDS = {
    n: values(n, o)
    for n, o in options_of(Recipe, OfPhases).items()
    if n in OVERRIDES and n not in ('epochs', 'lr')
}
FIELDS = {n: s for n, s in FIELDS.items() if not s.is_empty} | dict(
    epochs=st.integers(1, 200), lr=st.floats(1e-6, 1)
)


@drawn(120)
@given(st.sampled_from(sorted(RECIPES)), st.data())
def test_a_recipe_is_the_same_from_its_json_and_from_words(name, data):
    given_ = {
        n: data.draw(FIELDS[n], label=n)
        for n in data.draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=6, unique=True))
    }
    base = RECIPES[name]()
    made = refused(with_fields, base, **given_)
    if made is None or (made := refused(check_recipe, made)) is None:
        return
    assert from_dict(json.loads(json.dumps(to_dict(made)))) == made
    text = lambda v: ','.join(map(str, v)) if isinstance(v, tuple) else str(v)
    words = {n: text(v) for n, v in given_.items() if v is not None}
    assert check_recipe(with_fields(base, **words)) == made
    for n, v in given_.items():
        if n not in ('epochs', 'lr') and v is not None:
            assert getattr(made, n) == v
