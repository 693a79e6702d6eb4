"""What is announced is what is kept; every class has its share of a balanced batch; no two draws share a key; a run folder has one owner."""
import json
import multiprocessing
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import ROOT, TINY, flags, shell
import rock_nb.core.random as keyed_randomness
from rock_nb import core, train
from rock_nb.core import BadInput, Run, read_json
from rock_nb.data.table import read_data
from rock_nb.ensemble import ensemble
from rock_nb.evaluation.metrics import macro_f1
from rock_nb.training import recipes as ladder
from rock_nb.training.best_epoch import best_epoch, competing, saved_recipe
from rock_nb.training.recipe import Phase, Recipe
from rock_nb.data.hard_examples import HardExampleBuffer
from rock_nb.data.sampler import Batches
from rock_nb.predict import load_network, predict_images

SMALL = dict(
    arch='test_resnet', pretrained=False, scale='full', workers=0, tta='none', batch_size=12)
LEARNS, RUINS = 3e-3, 1.
QUIET = dict(stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def register(monkeypatch):
    "Give a recipe a name for a test."
    def add(name, r):
        monkeypatch.setitem(ladder.RECIPES, name, lambda: replace(r, name=name))
        return name
    return add


def judged_again(run, data):
    "Macro F1 of the kept weights on the validation photographs, by `predict_images`."
    rows = pd.read_csv(run.split).query('part == "valid"')
    found = read_data(data)
    p = predict_images(run, [str(f) for f in found.files(rows)])
    labels = rows.label.map({c: i for i, c in enumerate(p.classes)}).values
    return macro_f1(labels, p.preds, len(p.classes))


# --- images that grow

GROWS = dict(
    two=(Phase(4, LEARNS, img_size=48), Phase(2, RUINS)),
    three=(Phase(3, LEARNS, img_size=24), Phase(2, LEARNS, img_size=(40, 48)), Phase(2, RUINS)),
    shrinks=(Phase(4, LEARNS, img_size=64), Phase(1, RUINS), Phase(2, RUINS)),
    from_best=(
        Phase(2, LEARNS, img_size=48), Phase(2, LEARNS, start='best', img_size=48),
        Phase(2, RUINS, start='best')))


@pytest.mark.parametrize('ema', [0., pytest.param(.9, marks=pytest.mark.slow)])
@pytest.mark.parametrize('phases', GROWS)
def test_only_epochs_at_the_final_size_compete(phases, ema, sample, tmp_path, register):
    name = register('grown', Recipe(img_size=32, phases=GROWS[phases], ema=ema))
    run = train.fit(name, data=sample, out=tmp_path, run='grown', show=lambda *_: None, **SMALL)
    history, metrics = pd.read_csv(run.history), read_json(run.metrics)
    final = competing(history, saved_recipe(run))
    small = history.drop(final.index)
    # the made case: small images score best
    assert len(final) and small.valid_f1.max() > final.valid_f1.max(), history
    best = final.loc[final.valid_f1.idxmax()]
    assert metrics['best_epoch'] == best.epoch
    assert metrics['valid']['f1'] == pytest.approx(best.valid_f1, abs=1e-12)
    assert judged_again(run, sample) == pytest.approx(metrics['valid']['f1'], abs=1e-12)
    assert load_network(run).size == (32, 32)


def test_a_phase_starts_from_the_best_at_the_size_before_it(sample, tmp_path, register):
    "The third phase learns nothing: its weights are those that scored best at 48 px."
    phases = (
        Phase(2, LEARNS, img_size=48), Phase(2, RUINS, img_size=48), Phase(1, 1e-12, start='best'))
    name = register(
        'grown', Recipe(arch='test_resnet', img_size=32, phases=phases, schedule='none'))
    run = train.fit(name, data=sample, out=tmp_path, run='grown', show=lambda *_: None, **SMALL)
    history = pd.read_csv(run.history)
    kept, small = (
        torch.cat([v.flatten() for k, v in state(f).items() if 'weight' in k and v.ndim > 1])
        for f in (run.best, run.path / 'best-48x48.safetensors'))
    assert history.valid_f1[:4].idxmax() < 2 and read_json(run.metrics)['best_epoch'] == 5
    assert torch.allclose(kept, small, atol=1e-6)


def state(file):
    from safetensors.torch import load_file
    return load_file(file)


@pytest.mark.slow
def test_stopped_and_resumed_while_images_grow(sample, tmp_path, register):
    name = register('grown', Recipe(img_size=32, phases=GROWS['from_best'], ema=.9))
    whole = train.fit(name, data=sample, out=tmp_path, run='whole', show=lambda *_: None, **SMALL)

    class Stop(Exception): pass
    def stop(*_): raise Stop
    for _ in range(5):
        with pytest.raises(Stop):
            train.fit(name, data=sample, out=tmp_path, run='torn', show=stop, **SMALL)
    torn = train.fit(name, data=sample, out=tmp_path, run='torn', show=lambda *_: None, **SMALL)
    for f in ('history', 'best', 'valid', 'test'):
        assert getattr(torn, f).read_bytes() == getattr(whole, f).read_bytes()
    assert read_json(torn.metrics)['best_epoch'] == read_json(whole.metrics)['best_epoch']


@pytest.mark.processes
@pytest.mark.slow
def test_processes_agree_on_the_best(sample, tmp_path):
    """Two processes, from the shell: quick grows from 24 to 32 px at this scale, and only its
    epochs at that size compete."""
    given = dict(
        TINY, arch='test_resnet', version='quick', data=sample, out=tmp_path, run='quick', nproc=2,
        workers=0, epochs=4, tta='none', refit=False)
    del given['img_size']      # one size would win over those of the phases
    done = shell(sys.executable, '-m', 'rock_nb.train', *flags(given))
    assert done.returncode == 0, done.stderr[-2000:]
    run = Run(tmp_path / 'quick')
    history, metrics = pd.read_csv(run.history), read_json(run.metrics)
    assert history.phase.tolist() == [0, 0, 1, 2]
    assert metrics['best_epoch'] == history.epoch[2:][history.valid_f1[2:].idxmax()]
    assert metrics['valid']['f1'] == pytest.approx(history.valid_f1[2:].max(), abs=1e-12)
    assert judged_again(run, sample) == pytest.approx(metrics['valid']['f1'], abs=1e-12)


@pytest.mark.slow
def test_folds_of_a_growing_recipe(sample, tmp_path, register):
    from rock_nb.folds import fit_folds, plot_folds
    name = register('grown', Recipe(img_size=32, phases=GROWS['two']))
    seen = []
    def show(history, classes):
        seen.append(len(plot_folds([Run(tmp_path / 'grown-fold0')]).axes[0].lines))
    folder = fit_folds(name, folds=2, data=sample, out=tmp_path, run='grown', show=show, **SMALL)
    assert set(seen[:4]) == {1} and seen[4:6] == [2, 2]      # a curve; a circle once an epoch competes
    metrics = read_json(folder.metrics)
    for run, f1 in metrics['folds'].items():
        run = Run(tmp_path / run)
        assert f1 == pytest.approx(
            best_epoch(pd.read_csv(run.history), saved_recipe(run)).valid_f1, abs=1e-12)


# --- the balanced batch

def counts_of(batches, epochs, fill=None):
    """For each epoch, how often each class was drawn for itself (not from the memory), and the
    same for each step."""
    k, memory, each, at = batches.labels.max() + 1, batches.hard, [], 0
    for epoch in range(epochs):
        for step in range(batches.steps):
            rows, draws = batches.batch(epoch, step)
            assert len(rows) == batches.effective
            each.append(np.bincount(batches.labels[rows[draws >= 0]], minlength=k))
            if memory:
                wrong = np.isin(np.arange(len(rows)), np.arange(fill(epoch, step)))
                memory.update(
                    at, torch.tensor(rows), 1.0 + torch.arange(len(rows)) % 5, torch.tensor(wrong))
                memory.consumed(at)
            at += 1
    return np.array(each).reshape(epochs, batches.steps, k)


# batch, accumulate, classes, memory of hard photographs
BALANCED = [
    (16, 1, 7, False), (64, 1, 40, False), (8, 18, 18, True), (8, 3, 18, True), (16, 2, 7, True),
    (10, 1, 5, True), (31, 1, 30, True), (9, 1, 2, False)]


@pytest.mark.parametrize('batch, accumulate, k, hard', BALANCED)
@pytest.mark.parametrize('fill', [lambda e, s: 0, lambda e, s: 99, lambda e, s: (3*e + s) % 6], ids=['right', 'wrong', 'mixed'])
def test_no_class_has_more_than_one_over(batch, accumulate, k, hard, fill):
    labels = np.repeat(np.arange(k), 5 + 7*(np.arange(k) % 4))
    memory = HardExampleBuffer(30, .25, lag=3) if hard else None
    effective = batch*accumulate
    each = counts_of(
        Batches(labels, k, effective, 'balanced', pieces=accumulate, hard=memory), 4, fill)
    assert (np.ptp(each, axis=2) <= 1).all()                        # in a step
    assert (np.ptp(each.sum(1), axis=1) <= 1).all()                 # in an epoch
    assert (np.ptp(each.reshape(-1, k).cumsum(0), axis=1) <= 1).all()    # over the training, at any step
    # some seats were the memory's
    if hard and fill(0, 0): assert memory.slots[2] > 0


def test_the_odd_seat_goes_round_whatever_the_seed():
    labels = np.repeat(np.arange(7), 30)
    first = [counts_of(Batches(labels, 7, 16, 'balanced', seed=s), 1)[0, 0] for s in range(40)]
    # each class begins about as often as any other
    assert all((np.sum(first, 0) > 80) & (np.sum(first, 0) < 120))


def test_any_number_of_processes_and_any_step_to_go_on_from():
    labels = np.repeat(np.arange(7), [40, 9, 30, 21, 5, 33, 17])
    make = lambda pieces=1, world=1, rank=0: Batches(
        labels, 7, 20, 'balanced', pieces=pieces, world=world, rank=rank)
    whole = [list(make()), ]
    for world in (2, 4, 5):
        ranks = [list(make(world, world, r)) for r in range(world)]
        assert [sum(parts, []) for parts in zip(*ranks)] == whole[0]
    for start in (1, 3, 7):
        late = make()
        late.start = start
        assert list(late) == whole[0][start:]


# --- one key, one purpose

@pytest.mark.parametrize('mix', [dict(mix='none'), dict(mix='mixup'), dict(mix='cutmix'), dict(mix='one_class'),
                                 dict(mix='cutmix', sampler='balanced', hard_memory=8, batch_size=9), dict(mix='one_class', sampler='weighted', accumulate=2)],
                         ids=lambda m: '-'.join(map(str, m.values())))
def test_no_two_purposes_share_a_key(mix, sample, tmp_path, monkeypatch):
    """Whoever asks for a generator is a purpose; numpy's and Python's generators of one
    augmentation are one."""
    asked, seed_of = defaultdict(set), core.seed_of
    def noted(*address):
        caller = sys._getframe(1)
        if caller.f_code.co_name in ('rng', 'py_rng'): caller = caller.f_back
        asked[','.join(map(str, address))].add(
            (
                caller.f_code.co_filename.rpartition('/')[2],
                caller.f_lineno if 'fast_transforms' not in caller.f_code.co_filename else 0))
        return seed_of(*address)
    monkeypatch.setattr(keyed_randomness, 'seed_of', noted)
    given = dict(SMALL, augment='v2', img_size=32, epochs=2, mix_prob=.7) | mix
    train.fit('baseline', data=sample, out=tmp_path, run='keys', show=lambda *_: None, **given)
    shared = {key: who for key, who in asked.items() if len(who) > 1}
    assert len(asked) > 100 and not shared, shared
    files = {who[0] for whos in asked.values() for who in whos}
    expected = dict(none=set(), one_class={'dataset.py'}).get(mix['mix'], {'mixup.py'})
    always = {'fast_transforms.py', 'sampler.py'}
    assert files & {'dataset.py', 'mixup.py', *always} == expected | always


def test_mixing_and_augmentation_are_independent():
    "Whether a batch is mixed says nothing of how the photographs with its numbers are augmented."
    from rock_nb.data.mixup import make_mix
    mix = make_mix('mixup', .5, 1., 2)
    x, y = torch.zeros(2, 1, 1, 1), torch.tensor([0, 1])
    keys = [(41, 0, step, 0) for step in range(2000)]
    mixed = np.array([mix(x, y, *key)[1].ndim == 2 for key in keys])
    first = np.array([core.rng(*key).random() for key in keys])
    assert abs(np.corrcoef(mixed, first)[0, 1]) < .07


# --- one folder, one owner

def contend(folder, number, barrier, answers):
    barrier.wait()
    try:
        train.claim(Run(folder), dict(recipe=dict(lr=number), data='same', processes=1))
    except BadInput as e:
        answers.put((number, str(e)))
    else:
        answers.put((number, ''))


@pytest.mark.processes
def test_one_of_several_claims_an_empty_folder(tmp_path):
    fork = multiprocessing.get_context('fork')
    for turn in range(30):
        barrier, answers, folder = fork.Barrier(4), fork.Queue(), tmp_path / str(turn)
        if turn % 2: folder.mkdir()
        each = [fork.Process(target=contend, args=(folder, n, barrier, answers)) for n in range(4)]
        for p in each: p.start()
        said = dict(answers.get(timeout=60) for _ in each)
        for p in each: p.join()
        owner = [n for n, text in said.items() if not text]
        assert len(owner) == 1 and read_json(Run(folder).recipe)['recipe'] == dict(lr=owner[0]), (
            said)
        assert all(
            'holds another run' in text and f'lr: {owner[0]} -> {n}' in text
            for n, text in said.items() if text), said


@pytest.mark.processes
def test_equal_runs_share_a_folder_and_a_claim_waits_for_its_lock(tmp_path):
    run, record = Run(tmp_path / 'same'), dict(recipe=dict(lr=1), data='same', processes=2)
    assert train.claim(run, record) == record
    with core.lock(run.path):       # while another trains, its folder can be looked at
        assert train.claim(run, record | dict(processes=1)) == record
        with pytest.raises(BadInput, match='holds another run'):
            train.claim(run, record | dict(recipe=dict(lr=2)))
    held = (
        f'import sys, time; from rock_nb.core import lock\nwith lock({str(tmp_path / "new")!r}): '
        'print("held", flush=True); time.sleep(.7)')
    other = subprocess.Popen([sys.executable, '-c', held], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == 'held\n'
    # an empty folder that is held for a moment: waited for
    assert train.claim(Run(tmp_path / 'new'), record) == record
    assert other.wait() == 0


@pytest.mark.parametrize('more', [{}, dict(nproc=2)], ids=['one process', 'two processes each'])
@pytest.mark.processes
@pytest.mark.slow
def test_weights_and_recipe_are_of_one_training(more, sample, tmp_path):
    """Two commands with different recipes are started together for one folder: one trains, the
    other says why not."""
    given = (
        dict(
            TINY, arch='test_resnet', version='baseline', data=sample, out=tmp_path, run='both',
            epochs=1, workers=0)
        | more)
    each = {
        lr: subprocess.Popen(
            [sys.executable, '-m', 'rock_nb.train', *flags(given | dict(lr=lr))], cwd=ROOT, **QUIET)
        for lr in (1e-3, 2e-3)}
    said = {lr: (p.communicate(timeout=600)[1], p.returncode) for lr, p in each.items()}
    run = Run(tmp_path / 'both')
    owner = read_json(run.recipe)['recipe']['phases'][0]['lr']
    assert run.done and said.pop(owner)[1] == 0
    [(text, code)] = said.values()
    assert code == 1 and 'holds another run' in text.splitlines()[-1], text
    assert (pd.read_csv(run.history).lr == owner).all()


@pytest.mark.processes
@pytest.mark.slow
def test_a_fold_has_one_owner_too(sample, tmp_path):
    given = dict(
        TINY, arch='test_resnet', version='baseline', data=sample, out=tmp_path, run='both',
        folds=2, epochs=1, workers=0)
    each = [
        subprocess.Popen(
            [sys.executable, '-m', 'rock_nb.folds', *flags(given | dict(lr=lr))], cwd=ROOT, **QUIET)
        for lr in (1e-3, 2e-3)]
    said = [(p.communicate(timeout=600)[1], p.returncode) for p in each]
    assert sorted(code for _, code in said) == [0, 1], said
    assert any('holds another run' in text for text, code in said if code)
    about = [
        read_json(Run(tmp_path / f'both-fold{k}').recipe)['recipe']['phases'][0]['lr']
        for k in (0, 1)]
    lrs = [pd.read_csv(Run(tmp_path / f'both-fold{k}').history).lr[0] for k in (0, 1)]
    assert about == lrs and len(set(about)) == 1 and Run(tmp_path / 'both-folds').done


def test_an_ensemble_does_not_take_a_folder_that_a_training_has_claimed(sample, tmp_path, monkeypatch):
    "The training claims it while the ensemble is being counted."
    from rock_nb import ensemble as module
    for n in (1, 2):
        train.fit(
            'baseline', data=sample, out=tmp_path, run=f'r{n}', seed=n, show=lambda *_: None,
            epochs=1, workers=0, **{**TINY, 'arch': 'test_resnet'})
    build, record = module.build_case, dict(recipe=dict(lr=1), data='same', processes=1)
    def claimed_meanwhile(*args, **kwargs):
        train.claim(Run(tmp_path / 'both'), record)
        return build(*args, **kwargs)
    monkeypatch.setattr(module, 'build_case', claimed_meanwhile)
    with pytest.raises(BadInput, match='holds something else than an ensemble'):
        ensemble('r1,r2', name='both', out=tmp_path)
    assert (
        read_json(Run(tmp_path / 'both').recipe) == json.loads(json.dumps(record))
        and not Run(tmp_path / 'both').done)


def test_a_sweep_folder_has_one_owner(sample, tmp_path):
    from rock_nb.sweep import sweep
    with (
        core.lock(tmp_path / 'held'),
        pytest.raises(BadInput, match='the sweep .*held is being written by another process'),
    ):
        sweep('lr=1e-3,2e-3', name='held', out=tmp_path, data=str(sample), scale='smoke')
