"""Scores, intervals and verdicts: one rule for absent classes, coverage with few photographs, the choice of an epoch, equal trainings."""
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from conftest import TINY
from rock_nb import pipeline
from rock_nb.ablation import Trial, effects, in_sentences, trial_row
from rock_nb.core import BadInput, Run, rng
from rock_nb.evaluation import combiners as combine
from rock_nb.evaluation import decision as decide
from rock_nb.evaluation import metrics as metric
from rock_nb.evaluation import selection, view_weights
from rock_nb.evaluation.attribute_scores import attribute_f1
from rock_nb.evaluation.bootstrap import contingency_table, interval, resampled
from rock_nb.evaluation.compare import judge_pair
from rock_nb.evaluation.conformal import fit_conformal, load_conformal
from rock_nb.evaluation.leaderboard import leaderboard
from rock_nb.evaluation.metrics import counts_balanced, counts_f1
from rock_nb.evaluation.predictions import Predictions, load_predictions, save_predictions
from rock_nb.evaluation.repeats import mean_ci


def theirs(y, p):
    return f1_score(y, p, labels=np.union1d(y, p), average='macro', zero_division=0)


@pytest.mark.parametrize('seed', range(40))
def test_one_rule_for_classes_that_are_not_there(seed):
    """Labels and answers drawn from different few of the classes: every macro F1 is scikit-learn's
    over those present."""
    g = rng(seed)
    k, n = int(g.integers(2, 15)), int(g.integers(1, 40))
    some = lambda: g.choice(k, int(g.integers(1, k + 1)), replace=False)
    y, p = g.choice(some(), n), g.choice(some(), n)
    right = theirs(y, p)
    cm = np.bincount(y*k + p, minlength=k*k).reshape(k, k)
    probs = np.eye(k, dtype=np.float32)[p]
    found = dict(
        macro=metric.macro_f1(y, p, k), per_class=metric.per_class(y, p, range(k)).f1.mean(),
        summary=metric.summary(y, probs, range(k))['f1'], counts=counts_f1(cm),
        stack=counts_f1(np.stack([cm, cm]))[1], decide=decide.mean_f1(decide.f1_parts(y, p, k)),
        criterion=-decide.CRITERIA['f1'](probs, y),
        sum=combine.sum_score(np.zeros_like(probs), probs, y),
        interval=interval(y, p, k, n=100).value, verdict=judge_pair(y, p, p, k, n=100).first)
    for name, value in found.items():
        assert value == pytest.approx(right, abs=1e-9), name
    codes = pd.DataFrame(dict(a=np.arange(k) % 3), index=[f'c{i}' for i in range(k)])
    assert attribute_f1(y, p, list(codes.index), codes).f1['a'] == pytest.approx(
        theirs(y % 3, p % 3))
    balanced = balanced_accuracy_score(y, p) if len(set(y)) > 1 else (y == p).mean()
    assert counts_balanced(cm) == pytest.approx(balanced) and metric.summary(
        y, probs, range(k))['balanced_accuracy'] == pytest.approx(balanced)


def test_a_class_that_is_only_answered_counts_in_every_sample():
    y, p = np.repeat([0, 1], 10), np.r_[[2], [0]*9, [1]*10]
    drawn = resampled(contingency_table(y, [p], 3), counts_f1, 500, rng(1))[:, 0]
    # without the rule a third of the samples would jump to 1
    assert drawn.max() <= 2/3 + 1e-12 and drawn.min() > .4
    group = np.r_[[0], np.arange(1, 20)//2 + 1]
    assert np.isfinite(interval(y, p, 3, n=200, groups=group)).all()


def test_what_is_missing_is_said():
    assert (
        metric.missing_note([0, 0, 2], [0, 0, 2], list('abc'))
        == '1 of 3 classes have no image in this part, so macro F1 is the mean of 2 classes: '
           'b is left out of it.'
    )
    assert (
        'b, which images were called, counts 0'
        in metric.missing_note([0, 0, 2], [0, 1, 2], list('abc'))
        and metric.missing_note([0, 1], [0, 0], list('ab')) == '')


def chances(k, accuracy, g):
    wrong = [np.insert(g.dirichlet([.5]*(k - 1)), c, 0) for c in range(k)]
    return (1 - accuracy)*np.array(wrong) + accuracy*np.eye(k)


def draw(y, p, g):
    return (g.random(len(y))[:, None] > p.cumsum(1)[y]).sum(1).clip(0, len(p) - 1)


@pytest.mark.parametrize('each,k,accuracy', [(1, 7, .6), (2, 7, .4), (2, 7, .9), (3, 4, .65), (3, 2, .9), (5, 7, .65), (20, 4, .9), (100, 5, .65)])
def test_intervals_of_few_images(each, k, accuracy, times=120):
    y, g, held, off = np.repeat(np.arange(k), each), rng(each, k), [], []
    for i in range(times):
        p = chances(k, np.clip(accuracy + g.uniform(-.1, .1), .05, .97), g)
        found, exact = interval(y, draw(y, p, g), k, n=300, seed=i), counts_f1(each*p)
        held.append(found.low <= exact <= found.high)
        off.append(np.mean(found[1:]) - found.value)
        assert 0 <= found.low <= found.value <= found.high <= 1
    # .95 ± what 120 draws may bring; percentiles hold .5 to .8 of them
    assert np.mean(held) > .85, np.mean(held)
    if accuracy < .8: assert abs(np.mean(off)) < .07


def test_all_right_is_not_certain():
    few, many = (interval(np.repeat([0, 1, 2], n), np.repeat([0, 1, 2], n), 3) for n in (3, 300))
    assert few.value == 1 and few.low < .8 and .98 < many.low < 1
    assert interval([0]*5 + [1]*5, [1]*5 + [0]*5, 2).high > .2


@pytest.mark.parametrize('what', ['f1', 'accuracy', 'balanced_accuracy'])
def test_a_verdict_is_its_interval(what):
    words = set()
    for s in range(60):
        g = rng(s, 5)
        k, n = int(g.integers(2, 6)), int(g.integers(4, 90))
        y = g.integers(0, k, n)
        a, b = (
            np.where(g.random(n) < share, y, g.integers(0, k, n))
            for share in (0.9, g.uniform(0.1, 0.9)))
        v = judge_pair(
            y, a, b, k, what, n=200, seed=s, groups=g.integers(0, n, n) if s % 2 else None)
        words.add(v.verdict)
        assert (v.verdict == "can't tell") == (v.low <= 0 <= v.high) == (
            v.p > 0.05) and v.low <= v.difference <= v.high
        assert (
            v.difference == pytest.approx(v.first - v.second)
            and judge_pair(y, b, a, k, what, n=200, seed=s).verdict != v.verdict
            or v.verdict == "can't tell" or s % 2)
    assert {'better', "can't tell"} <= words


@pytest.mark.parametrize('each', [2, 5, 30])
def test_equals_are_rarely_told_apart(each, times=150):
    y, g, told = np.repeat(np.arange(6), each), rng(each), 0
    for i in range(times):
        p = chances(6, g.uniform(.4, .9), g)
        first = draw(y, p, g)
        told += (
            judge_pair(
                y, first, np.where(g.random(len(y)) < 0.5, first, draw(y, p, g)), 6, n=200, seed=i
            ).verdict
            != "can't tell")
    assert told/times <= .05 + 3*np.sqrt(.05*.95/times)


def board_of(folder, y, answers, k, metrics=None):
    for i, a in enumerate(answers):
        run = Run(folder/f'r{i}')
        save_predictions(
            run.valid,
            Predictions(
                np.array([f'p{j}' for j in range(len(y))]), 9.0 * np.eye(k)[a][:, None],
                tuple(f'c{c}' for c in range(k)), y))
        run.recipe.write_text('{}')
        run.metrics.write_text(json.dumps((metrics or [{}]*len(answers))[i]))
    return leaderboard(folder, n=200)


@pytest.mark.slow
@pytest.mark.parametrize('each', [3, 15])
def test_boards_of_ten_equal_runs(tmp_path, each, times=40):
    y, g, said = np.repeat(np.arange(5), each), rng(each, 9), 0
    for t in range(times):
        p = chances(5, .7, g)
        first = draw(y, p, g)
        said += (
            board_of(
                tmp_path / str(t), y,
                [np.where(g.random(len(y)) < 0.5, first, draw(y, p, g)) for _ in range(10)],
                5).beside_best
            == 'worse').any()
    assert said/times <= .05 + 3*np.sqrt(.05*.95/times)


def test_a_board_of_two_says_what_a_comparison_says(tmp_path):
    for s in range(12):
        g = rng(s, 11)
        y = g.integers(0, 4, 60)
        a, b = (
            np.where(g.random(60) < share, y, g.integers(0, 4, 60))
            for share in (0.9, 0.55 + 0.03 * s))
        board = board_of(tmp_path/str(s), y, [a, b], 4)
        worse = judge_pair(y, a, b, 4, n=200).verdict != "can't tell"
        assert ('worse' in set(board.beside_best)) == worse


@pytest.mark.slow
def test_the_choice_of_an_epoch(tmp_path, times=60):
    """The best of thirty equal epochs is too good by more than .015; cross-fitted it is right, and
    is not called better than one epoch."""
    y, k, rows = np.repeat(np.arange(7), [104, 83, 62, 62, 42, 42, 21]), 7, []
    for s in range(times):
        g = rng(s, 3)
        p = chances(k, .7, g)
        first = draw(y, p, g)
        many = np.array([np.where(g.random(len(y)) < .5, first, draw(y, p, g)) for _ in range(31)])
        scores = [metric.macro_f1(y, a, k) for a in many[:30]]
        best, exact = many[int(np.argmax(scores))], counts_f1(p*np.bincount(y)[:, None])
        off = selection.optimism_of(y, best, selection.crossfit_answers(y, many[:30], k), k)
        i = interval(y, best, k, n=200, seed=s)
        better = [
            judge_pair(y, best, many[30], k, n=200, seed=s, optimism=(o, 0.0)).verdict == 'better'
            for o in (0.0, off)]
        rows.append(
            [
                i.value - exact, i.value - off - exact, i.low <= exact <= i.high,
                i.low - off <= exact <= i.high - off, *better])
    naive, honest, held, kept, called, fewer = np.mean(rows, 0)
    assert (
        naive > 0.015 and abs(honest) < 0.007 and kept > 0.87 > held
        and fewer <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / times) < called)


def test_groups_stay_in_one_half():
    y, group = np.repeat(np.arange(4), 30), np.arange(120)//4
    for s in range(10):
        half = selection.split_halves(y, group, rng(s))
        assert pd.Series(half).groupby(group).nunique().max() == 1 and abs(half.mean() - .5) < .1


def test_a_board_takes_the_optimism_off(tmp_path):
    y, g = np.repeat(np.arange(4), 25), rng(4)
    a, b = (np.where(g.random(100) < s, y, g.integers(0, 4, 100)) for s in (.8, .75))
    f = [theirs(y, p) for p in (a, b)]
    known = [
        dict(epochs=30, valid=dict(f1=f[0], f1_crossfit=f[0] - 0.1)),
        dict(epochs=1, valid=dict(f1=f[1]))]
    board = board_of(tmp_path/'known', y, [a, b], 4, known)
    assert (
        board.index[0] == 'r1' and board.f1_crossfit['r0'] == pytest.approx(f[0] - 0.1)
        and board.f1_crossfit['r1'] == pytest.approx(f[1]))
    plain = board_of(
        tmp_path / 'plain', y, [a, b], 4, [dict(epochs=30, valid=dict(f1=f[0])), known[1]])
    # of one it isn't known: all by the same measure
    assert plain.index[0] == 'r0' and 'f1_crossfit' not in plain


def test_two_runs_of_one_name_are_refused(tmp_path):
    y = np.arange(6) % 2
    runs = [stored(Run(tmp_path/d/'base'), y, np.eye(2)[y], 'ab') for d in ('x', 'y')]
    with pytest.raises(BadInput, match='x/base and .*y/base have the same name; rename one'):
        leaderboard(runs)


def chosen_run(folder, y, seed, k=5):
    """A run of the best of 50 epochs that are equally good, and one of a single epoch that is as
    good as these."""
    g = rng(seed, 8)
    first = np.where(g.random(len(y)) < .7, y, g.integers(0, k, len(y)))
    many = np.array([np.where(
        g.random(len(y)) < .5, first,
        np.where(g.random(len(y)) < .7, y, g.integers(0, k, len(y)))) for _ in range(51)])
    scores = [metric.macro_f1(y, a, k) for a in many[:50]]
    best = many[int(np.argmax(scores))]
    off = selection.optimism_of(y, best, selection.crossfit_answers(y, many[:50], k), k)
    known = dict(epochs=50, valid=dict(f1=max(scores), f1_crossfit=max(scores) - off))
    return off, [
        stored(Run(folder/name), y, 9*np.eye(k)[a], 'abcde'[:k], m)
        for name, a, m in (('a', best, known), ('b', many[50], {}))]


def test_a_comparison_takes_the_choice_of_the_epoch_off(tmp_path):
    "It is said beside the verdict, also where it can't be taken off, and an ablation does the same."
    import rock_nb
    off, (a, b) = chosen_run(tmp_path, np.arange(150) % 5, 0)
    p = [rock_nb.Run(r).predictions().preds for r in (a, b)]
    v = rock_nb.compare(rock_nb.Run(a), rock_nb.Run(b))
    plain = judge_pair(np.arange(150) % 5, *p, 5)
    assert off > .02 and v.difference == pytest.approx(plain.difference - off)
    assert f'what the choice of an epoch by these images adds: {off:.4f} of a, 0.0000 of b' in str(v)
    by_accuracy = rock_nb.compare(rock_nb.Run(a), rock_nb.Run(b), metric='accuracy')
    assert 'An epoch was chosen on these images' in str(by_accuracy)
    rows = [
        trial_row(Trial(dict(loss='ce') if r is a else {}, {}, 41), r) for r in (a, b)]
    table = effects(pd.DataFrame(rows), tmp_path)
    assert table.gain.iloc[0] == pytest.approx(v.difference) and table.p.iloc[0] == v.p


@pytest.mark.slow
def test_an_epoch_of_fifty_is_rarely_better_than_one(tmp_path, times=40):
    import rock_nb
    told = [
        rock_nb.compare(*map(rock_nb.Run, chosen_run(tmp_path/str(s), np.arange(150) % 5, s)[1])).verdict
        == 'better' for s in range(times)]
    assert np.mean(told) <= .05 + 3*np.sqrt(.05*.95/times)


@pytest.mark.slow
def test_a_run_keeps_its_epochs_and_equal_trainings_are_done_once(sample, tmp_path, capsys):
    from rock_nb.sweep import sweep
    tiny = {**TINY, 'workers': 0, 'data': sample, 'out': tmp_path}
    table = sweep('smoothing=0,0.0,0.1', name='grid', **tiny | dict(epochs=2))
    said = capsys.readouterr().out
    assert (
        len(table) == 2
        and 'smoothing=0.0 is the same training as smoothing=0; it is done once' in said
        and 'better there than on others' in said)
    assert (
        table.low.notna().all() and set(table.beside_best) <= {'best', "can't tell", 'worse'}
        and (table.beside_best == 'best').sum() == 1)
    listed = pd.read_csv(tmp_path/'grid'/'sweep.csv')
    assert (
        listed.beside_best.tolist() == table.beside_best.tolist()
        and 'The highest of 2' in (tmp_path / 'grid' / 'best.py').read_text())
    run = Run(next((tmp_path/'grid').glob('*/metrics.json')).parent)
    labels, answers = selection.read_epochs(run)
    history, m = pd.read_csv(run.history), json.loads(run.metrics.read_text())
    assert [metric.macro_f1(labels, a, 7) for a in answers] == pytest.approx(
        history.valid_f1.tolist())
    assert 0 <= m['valid'][
        'f1_crossfit'
    ] <= 1 and 'on one half and scored on the other' in selection.selection_note(run)
    found = sweep(
        space='smoothing=0,0.1', search='random', trials=4, name='two', **tiny | dict(epochs=1))
    assert (
        sorted(found.smoothing) == [0, 0.1]
        and 'so 2 trials are made instead of 4' in capsys.readouterr().out)
    again = sweep(
        space='smoothing=0,0.1', search='random', trials=4, name='two', **tiny | dict(epochs=1))
    assert len(again) == 2 and 'beside_best' in again


def stored(run, y, logits, classes, metrics=None, groups=None, ids=None):
    "A run that has judged its validation images, without a training."
    ids = np.array([f'p{j}' for j in range(len(y))]) if ids is None else ids
    save_predictions(run.valid, Predictions(ids, logits[:, None].astype('f4'), tuple(classes), y))
    run.recipe.write_text(json.dumps(dict(recipe={}, classes=list(classes), data='D')))
    table = pd.DataFrame(dict(path=ids, label=np.array(list(classes))[y], part='valid'))
    (table if groups is None else table.assign(group=groups)).to_csv(run.split, index=False)
    run.metrics.write_text(json.dumps(
        dict(valid=dict(f1=.5), epochs=1, seconds=1, parameters=1) | (metrics or {})))
    return run


def test_a_decided_ensemble_is_judged_by_what_it_answers(tmp_path):
    """Submission, scores, board, comparison and sets speak of the classes that the rule named, each
    by what was learned from other folds."""
    import rock_nb
    y, g, names = np.repeat(np.arange(4), (110, 40, 14, 8)), rng(3), []
    for i in range(2):
        z = g.normal(size=(len(y), 4)) + np.log([.65, .24, .07, .04]) + 1.2*np.eye(4)[y]
        names.append(stored(Run(tmp_path/f'u{i}'), y, z, 'abcd').name)
    e = rock_nb.ensemble(names, out=tmp_path, name='rule', decide='rule')
    given = pd.read_csv(e.path/'decided.csv')
    f1 = theirs(given.label, given.predicted)
    p = e.predictions()
    assert np.array(p.classes)[p.preds].tolist() == given.predicted.tolist()
    assert (p.preds != p.probs.argmax(1)).any()
    assert [e.metrics['valid']['f1'], e.metrics['decided']['valid']['f1'], e.score().value] == (
        pytest.approx([f1]*3))
    board = leaderboard(tmp_path, n=200)
    assert board.f1['rule'] == pytest.approx(f1)
    assert board.accuracy['rule'] == pytest.approx((given.label == given.predicted).mean())
    for a, b, place in (('rule', 'u0', 1), ('u0', 'rule', 2)):
        assert rock_nb.compare(a, b, out=tmp_path)[place] == pytest.approx(f1)
    inside = load_conformal(e.folder)(p.probs, answers=p.preds)
    assert inside[np.arange(len(y)), p.preds].all()
    # scored by an earlier version: made anew
    before = e.metrics
    e.folder.metrics.write_text(json.dumps(before | dict(valid=before['valid'] | dict(f1=.1))))
    assert rock_nb.ensemble(names, out=tmp_path, name='rule', decide='rule').metrics == before


def test_answers_that_do_not_fit_are_refused(tmp_path):
    p = Predictions(np.array(['a', 'b']), np.zeros((2, 1, 3)), tuple('xyz'), answers=np.array([2, 0]))
    save_predictions(tmp_path/'p.npz', p)
    assert load_predictions(tmp_path/'p.npz').preds.tolist() == [2, 0]
    p.answers = np.array([3, 0])
    save_predictions(tmp_path/'p.npz', p)
    with pytest.raises(BadInput, match='the answer 3, but 3 classes'): load_predictions(tmp_path/'p.npz')


def test_a_set_holds_the_answer_that_was_named():
    y, g = np.repeat(np.arange(3), 40), rng(2)
    probs = g.dirichlet([1, 1, 1], 120)
    named = g.integers(0, 3, 120)
    sets = fit_conformal(probs, y, tuple('abc'), .5)(probs, answers=named)
    assert sets[np.arange(120), named].all()


def ablation_of(folder, answers, y, seeds=(41, 42), groups=None):
    "Lines of an ablation with one change: answers of the base and of the change, for each seed."
    rows = []
    for seed, pair in zip(seeds, answers):
        for change, a in zip(({}, dict(loss='ce')), pair):
            name = f"{'change' if change else 'base'}-{seed}"
            run = stored(Run(folder/name), y, 9*np.eye(4)[a], 'abcd', groups=groups)
            rows.append(trial_row(Trial(change, {}, seed), run))
    return pd.DataFrame(rows)


def test_equal_seeds_are_no_certainty(tmp_path):
    "A training that no seed changes counts once, by exchange of answers; a spread of 0 tells nothing."
    y, g = np.repeat(np.arange(4), 20), rng(5)
    base = np.where(g.random(80) < .7, y, g.integers(0, 4, 80))
    change = base.copy()
    change[np.flatnonzero(base != y)[0]] = y[np.flatnonzero(base != y)[0]]
    twice = effects(ablation_of(tmp_path/'twice', [(base, change)]*2, y), tmp_path/'twice')
    once = effects(ablation_of(tmp_path/'once', [(base, change)], y), tmp_path/'once')
    pd.testing.assert_frame_equal(twice.drop(columns='time'), once.drop(columns='time'))
    assert twice.verdict.iloc[0] == "can't tell" and twice.p.iloc[0] > .5 and twice.runs.iloc[0] == 1
    # other answers, the same scores
    place = np.flatnonzero((base == y) & (y == 0))[:2]
    swapped = [a.copy() for a in (base, change)]
    for a in swapped: a[place[0]], a[place[1]] = 1, 0
    lines = [[a.copy() for a in (base, change)], swapped]
    lines[0][0][place[1]] = lines[0][1][place[1]] = 1
    table = effects(ablation_of(tmp_path/'alike', lines, y), tmp_path/'alike')
    assert table.gain.iloc[0] > 0 and np.isnan(table.p.iloc[0]) and table.runs.iloc[0] == 2
    assert table.verdict.iloc[0] == "can't tell" and 'all pairs the same' in ' '.join(
        in_sentences(table, 'base'))
    same = effects(ablation_of(tmp_path/'same', [(a, a) for a, _ in lines], y), tmp_path/'same')
    assert same.p.iloc[0] == 1
    assert np.isnan(mean_ci([.001, .001]).p) and mean_ci([0., 0.]).p == 1


def test_near_duplicates_are_drawn_together(tmp_path):
    "As in `score` and `compare`: in the pipeline's table, in an ablation, in the weights of views."
    import rock_nb
    from rock_nb.pipeline import valid_interval
    y, g = np.repeat(rng(1).integers(0, 4, 30), 8), rng(3)
    group = np.repeat(np.arange(30), 8)
    a, b = (np.repeat(np.where(g.random(30) < q, y[::8], g.integers(0, 4, 30)), 8) for q in (.7, .5))
    rows = ablation_of(tmp_path, [(a, b)], y, groups=group)
    mine = [rock_nb.Run(tmp_path/f'{n}-41') for n in ('base', 'change')]
    i, v = mine[0].score(), rock_nb.compare(*mine[::-1])
    assert valid_interval(mine[0].folder) == f'{i.low:.2f}–{i.high:.2f}'
    assert effects(rows, tmp_path)[['low', 'high', 'p']].iloc[0].tolist() == list(v[4:7])
    # the views of an image of noise: the second knows its group, whose class is drawn
    n = 240
    noise = g.normal(size=(n, 2, 4))
    noise[:, 1] = np.repeat(g.normal(size=(30, 4)), 8, 0)
    views = Predictions(np.arange(n).astype(str), noise.astype('f4'), tuple('abcd'), y, ('r0', 'r0f'))
    folds = []
    def seen(probs, labels):
        folds.append(frozenset(map(bytes, probs[:, 1].astype('f4'))))
        return np.full(2, .5)
    with pytest.MonkeyPatch.context() as m:
        m.setitem(view_weights.FITS, 'log_loss', seen)
        view_weights.fit_views(views, groups=dict(zip(views.ids, group)))
    # each group was left out once, whole
    assert sum(30 - len(f) for f in folds[:5]) == 30


def kappa_like(cm):
    "From -1 to 1: twice the accuracy, less 1."
    return 2*np.trace(cm, axis1=-2, axis2=-1)/cm.sum((-2, -1)) - 1


def test_a_metric_of_ones_own_has_its_own_range():
    y = np.repeat([0, 1], 30)
    wrong, found = 1 - y, interval(y, np.r_[1 - y[:50], y[50:]], 2, kappa_like, n=200)
    assert found.low < found.value < found.high < 0
    v = judge_pair(y, y, wrong, 2, kappa_like, n=200)
    assert v.low < v.difference == 2 < v.high and v.verdict == 'better'
    kappa_like.range = (-1, 1)
    try: assert judge_pair(y, y, wrong, 2, kappa_like, n=200).high == 2
    finally: del kappa_like.range


def test_the_pipeline_recommends_by_one_measure(tmp_path):
    "Of runs and their ensemble, for which the optimism isn't known, all by the plain score."
    for name, m in dict(
        A=dict(valid=dict(f1=.80, f1_crossfit=.76)), B=dict(valid=dict(f1=.77, f1_crossfit=.77)),
        ensemble=dict(valid=dict(f1=.78))).items():
        (tmp_path/name).mkdir()
        Run(tmp_path/name).metrics.write_text(json.dumps(m))
        Run(tmp_path/name).recipe.write_text('{}')
    said = {}
    for names in (['A', 'B', 'ensemble'], ['A', 'B']):
        best = pipeline.recommended(names, tmp_path)
        table = pd.DataFrame(dict(minutes=1.), index=names)
        said[best] = pipeline.conclusion(table, tmp_path, best)[-1]
    assert 'A, macro F1 0.8000' in said['A'] and 'of all with what the choice' in said['A']
    assert 'B, macro F1 0.7700' in said['B'] and 'less what the choice' in said['B']


def test_a_soup_is_of_runs_that_kept_the_same_images_apart(tmp_path):
    from safetensors.numpy import save_file
    from rock_nb.evaluation.soup import check_soup
    y, runs = np.arange(6) % 2, []
    for name, prefix in dict(one='p', two='p', three='q').items():
        run = stored(
            Run(tmp_path/name), y, np.eye(2)[y], 'ab', ids=np.array([f'{prefix}{i}' for i in range(6)]))
        run.recipe.write_text(json.dumps(dict(recipe=dict(arch='x'), classes=['a', 'b'])))
        save_file(dict(w=np.zeros(2)), run.best)
        runs.append(run)
    assert len(check_soup(runs[:2])) == 2
    with pytest.raises(BadInput, match='three and one kept different images apart for validation'):
        check_soup(runs)


@pytest.mark.parametrize('counts,how,says', [
    ((20, 20, 2), dict(combine='greedy', decide='vector'),
     'class lime has 2 images in 2 folds, and `combine` greedy needs 1 or more beside 2 folds'),
    ((20, 20, 3), dict(combine='stack', decide='rule'), 'class lime has 3 images in 3 folds, and `combine` stack needs 2 or more'),
    ((20, 20, 1), dict(decide='temperature'), 'class lime has 1 image of its own; .* give two or more to validation'),
    ((20, 20, 0), dict(decide='rule'), 'class lime has 0 images in 0 folds, and `decide` rule needs 1 or more'),
    ((20, 0, 0), dict(combine='stack'), 'all 20 images are of class ash; `combine` stack needs two classes')])
def test_what_cannot_be_learned_names_the_class(tmp_path, counts, how, says):
    from rock_nb.ensemble import ensemble
    y, g = np.repeat(np.arange(3), counts), rng(1)
    for name in 'ab':
        stored(Run(tmp_path/name), y, g.normal(size=(len(y), 3)) + np.eye(3)[y], ['ash', 'chalk', 'lime'])
    with pytest.raises(BadInput, match=says): ensemble('a,b', out=tmp_path, **how)
