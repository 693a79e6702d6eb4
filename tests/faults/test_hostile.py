"""The hostile corpus: each of its inputs is refused with one sentence, left out and reported, or read rightly.

No traceback, no waiting, nothing written beside the folders at hand, nothing unpickled.
"""

import contextlib
import importlib
import io
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import hostile
from conftest import QUICK, ROOT
from rock_nb import list_runs
from rock_nb.core import BadInput
from rock_nb.data.audit import inspect_file, readable
from rock_nb.data.augmentations import check_augment
from rock_nb.data.image import read_image
from rock_nb.data.table import read_data
from rock_nb.evaluation.answer_table import answers_of
from rock_nb.evaluation.leaderboard import leaderboard
from rock_nb.evaluation.prediction_files import read_answer_file
from rock_nb.evaluation.relabel import read_label_answers
from rock_nb.evaluation.run_data import data_of
from rock_nb.model.weight_files import load_pretrained
from rock_nb.model.weights import find_weights
from rock_nb.predict import predict_images
from rock_nb.queue import read_jobs
from rock_nb.train import command_line, fit
from rock_nb.training.command import check_given, given_options

SECONDS = 20  # for one input; most take milliseconds
THREE = QUICK | dict(epochs=3, show=lambda *_: None)
CASES = hostile.cases()
TEMPORARY = [f'{tempfile.gettempdir()}/{name}' for name in ('tmp', 'rock_nb-')]


class Watch:
    "What Python opens for writing and unpickles, while it is on."

    def __init__(self):
        self.on, self.unpickled, self.written = False, [], []
        sys.addaudithook(self.hook)  # stays for ever

    def hook(self, event: str, args: tuple):
        if not self.on:
            return
        if event == 'pickle.find_class':
            self.unpickled.append(args)
        if event == 'open' and isinstance(args[0], str) and isinstance(args[2], int):
            if args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self.written.append(args[0])
        # those below an opened folder are relative, as `shutil.rmtree` has them
        if event in ('os.mkdir', 'os.remove', 'os.rename', 'os.rmdir', 'sqlite3.connect'):
            if os.path.isabs(os.fsdecode(args[0])):
                self.written.append(os.fsdecode(args[0]))

    @contextlib.contextmanager
    def __call__(self, *allowed: Path):
        self.unpickled.clear()
        self.written.clear()
        self.on = True
        try:
            yield
        finally:
            self.on = False
        places = tuple(str(a) for a in (*allowed, '/dev/', '/proc'))
        outside = [w for w in self.written if not os.path.abspath(w).startswith(places)]
        assert not outside and not self.unpickled


WATCH = Watch()


class Stopped(Exception):
    pass


@pytest.fixture(scope='module')
def first(sample, tmp_path_factory) -> Path:
    "The folder of a complete run and of the same one stopped before its last epoch."
    out = tmp_path_factory.mktemp('first')

    def stop(history, classes):
        if len(history) == 2:
            raise Stopped

    fit(**THREE, data=sample, out=out, run='done')
    with contextlib.suppress(Stopped):
        fit(**THREE | dict(show=stop), data=sample, out=out, run='half')
    hostile.FIRST.update(done=out / 'done', half=out / 'half')
    return out


# --- readers: what was made -> the result in words, what was reported


def read_one_image(file: Path) -> str:
    "Audit and reader say the same of a file."
    facts = inspect_file(str(file))
    try:
        found = hostile.seen(read_image(str(file)))
    except BadInput:
        assert facts['error']
        raise
    assert not facts['error'] and f"{facts['width']}×{facts['height']}" == found.split()[0]
    return found


def counted(counts) -> str:
    return ', '.join(f'{repr(str(k))[1:-1]} {n}' for k, n in counts.items())


def read_table(file: Path) -> tuple[str, tuple]:
    data = read_data(file)
    readable(data)
    return counted(data.counts), data.notes


def read_folds(files: tuple[Path, Path]) -> str:
    return counted(read_data(files[0], folds=files[1]).train.fold.value_counts().sort_index())


def ask_network(out: Path) -> str:
    p = predict_images('one', [hostile.picture()], out=out, workers=0, device='cpu')
    answers_of(p)
    return f'{len(p.classes)} classes, sum {p.probs.sum():.3g}'


def show_results(out: Path) -> str:
    found = list_runs(out)
    for run in found:
        run.status, run.config, run.metrics, run.history(), run.score(part='valid')
        data_of(run.folder)
    leaderboard(out, 'valid', n=100)
    return f'{len(found)} run'


def go_on(out: Path, sample: Path, first: Path) -> str:
    os.rename(out / 'one', out / 'half')
    run = fit(**THREE, data=sample, out=out, run='half')
    same = all(
        (run.path / n).read_bytes() == (first / 'done' / n).read_bytes()
        for n in ('best.safetensors', 'history.csv')
    )
    return 'as if never stopped' if same else 'otherwise'


def load_weights(file: Path) -> str:
    import timm

    find_weights('test_resnet', str(file))
    load_pretrained(timm.create_model('test_resnet'), str(file))
    return 'loaded'


def read_votes(file: Path) -> tuple[str, tuple]:
    a = read_answer_file(file)
    return ', '.join(f'{i} {label}' for i, label in zip(a.ids, a.labels)), (a.remark,)


def run_words(given: tuple[str, list[str]]) -> str:
    "A command in this process; its last line says what is wrong."
    command, argv = given
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            importlib.import_module(hostile.COMMANDS[command]).main(argv)
        except SystemExit as e:
            last = e.code if isinstance(e.code, str) else said.getvalue().strip().splitlines()[-1]
            assert last.startswith('BadInput: '), last
            raise BadInput(last.removeprefix('BadInput: ')) from None
    return 'done'


def give_option(name: str) -> str:
    "Each of the values is refused; the first sentence counts."
    refused = []
    for value in hostile.NASTY:
        with pytest.raises(BadInput) as e:
            check_given(given_options(command_line(), [f'--{name}={value}']))
        assert name in str(e.value)
        refused.append(e.value)
    raise refused[0]


def change_meanwhile(made: tuple) -> str:
    table, change = made
    data = read_data(table)
    change()
    return f'{len(readable(data)[0].train)} images'


def change_in_training(made: tuple[Path, str], sample: Path) -> str:
    folder, what = made
    shutil.copytree(sample, folder / 'data')

    def show(history, classes):
        if len(history) > 1:
            return
        if what == 'out':
            shutil.rmtree(folder / 'runs')
        for p in (folder / 'data/train').glob('*/*'):
            if what == 'unlink':
                p.unlink()
            if what == 'cut':
                p.write_bytes(p.read_bytes()[:300])

    fit(**THREE | dict(show=show, pack='none'), data=folder / 'data', out=folder / 'runs', run='r')
    return 'trained'


READERS = {
    'image': read_one_image,
    'table': read_table,
    'folds': read_folds,
    'network': ask_network,
    'results': show_results,
    'resume': go_on,
    'weights': load_weights,
    'answers': read_votes,
    'people': lambda f: f'{len(read_label_answers(f))} answers',
    'augment': lambda f: str(check_augment(str(f))),
    'job': lambda f: str(read_jobs(str(f))),
    'words': run_words,
    'option': give_option,
    'race': change_meanwhile,
    'race in training': change_in_training,
}
MORE = {'resume': ('sample', 'first'), 'race in training': ('sample',)}


@contextlib.contextmanager
def limit(seconds: int):
    def ring(*_):
        raise TimeoutError(f'{seconds} s were not enough')

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


SLOW = ('resume', 'race in training', 'words', 'option', 'results')  # readers


@pytest.mark.parametrize(
    'case',
    [
        pytest.param(
            c, id=f'{c.kind}: {c.name[:60]}', marks=pytest.mark.slow if c.reader in SLOW else ()
        )
        for c in CASES
    ],
)
def test_hostile(case, first, sample, tmp_path, monkeypatch):
    if not case.root and os.geteuid() == 0:
        pytest.skip('root may read everything')
    beside, here, root = (tmp_path / name for name in ('beside', 'here', 'root'))
    for d in (beside, here, root):
        d.mkdir()
    monkeypatch.chdir(beside)
    monkeypatch.setenv('ROCK_NB_ROOT', str(root))
    made = case.make(here)
    more = [dict(sample=sample, first=first)[name] for name in MORE.get(case.reader, ())]
    verdict, reports = 'read', ()
    with limit(SECONDS), WATCH(here, root, *TEMPORARY):
        try:
            said = READERS[case.reader](made, *more)
            if isinstance(said, tuple):
                said, reports = said
        except BadInput as e:
            verdict, said = 'refused', str(e)
    if verdict == 'read' and case.verdict == 'out':
        verdict, said = 'out', ' '.join(reports)
    assert verdict == case.verdict and case.says in said, said
    if verdict == 'refused':
        assert '\n' not in said and len(said) < 6000
    assert not list(beside.iterdir()), 'something was written to the working directory'


def test_there_are_many_and_each_has_its_own_name():
    assert len(CASES) >= 150 and len({(c.kind, c.name) for c in CASES}) == len(CASES)
    assert {c.verdict for c in CASES} == {*hostile.VERDICTS}


def test_the_page_is_written_from_the_table():
    page = (ROOT / 'docs' / 'hostile.md').read_text(encoding='utf-8')
    assert page == hostile.page(), 'run python tests/helpers/hostile.py'


@pytest.mark.slow
def test_all_bad_images_of_a_folder_are_left_out_and_the_others_answered(first, tmp_path):
    "One broken file among many ends nothing: the audit skips it, a prediction says it."
    photos, bad = tmp_path / 'photos', []
    kinds = [c for c in CASES if c.kind == 'images' and c.root and '\n' not in c.name]
    (photos / 'A').mkdir(parents=True)
    (photos / 'B').mkdir()
    for i, c in enumerate(kinds):
        folder = tmp_path / f'made{i}'
        folder.mkdir()
        file = c.make(folder)
        if not os.path.isfile(file):
            continue
        name = f"{'AB'[i % 2]}/{i}.png"
        shutil.copy(file, photos / name)
        if c.verdict == 'refused':
            bad.append(name)
    data, skipped = readable(read_data(photos), on_error='skip', out=tmp_path / 'out')
    assert sorted(skipped.path) == sorted(bad) and len(data.train) + len(bad) == len(
        list(photos.glob('*/*'))
    )
    p = predict_images(first / 'done', photos, on_error='skip', workers=0, device='cpu')
    assert len(p) == len(data.train) and np.isfinite(p.probs).all()
