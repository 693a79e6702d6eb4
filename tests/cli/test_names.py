"""Names stay as they were given: runs and folders made of digits, photographs by links and lists; from shell, make, papermill and Python."""
import ast
import importlib
import inspect
import io
import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pandas as pd
import papermill
import pytest

from conftest import ROOT, TINY, shell
import parameters
import rock_nb
from naps import nap_job as nap
from rock_nb import core
from rock_nb.core import BadInput, Parser, Run
from rock_nb.core.notebook import parameter_cell
from rock_nb.data.files import list_images
from rock_nb.folds import PARAMETERS as OF_FOLDS
from rock_nb.pipeline import PARAMETERS as OF_PIPELINE
from rock_nb.evaluation.predictions import load_predictions
from rock_nb.training.search import read_space
from rock_nb.predict import main, predict_images
from rock_nb.queue import publish_jobs, check_training
from rock_nb.sweep import read_grid
from rock_nb.train import OPTIONS, PARAMETERS, add_options, fit, given_options, pick_device, prepare

PROGRAMS = (
    'train', 'folds', 'pipeline', 'sweep', 'predict', 'ensemble', 'confusion', 'eda', 'augment',
    'dashboard', 'benchmark', 'serve', 'label', 'ablation')
FOLDER = str(Path.cwd())


def told(words, names=PARAMETERS):
    return given_options(add_options(Parser('python -m rock_nb.train'), names), words)


@pytest.mark.parametrize('program', PROGRAMS)
def test_every_parameter_has_a_type(program):
    known = importlib.import_module(f'rock_nb.{program}').PARAMETERS
    assert [n for n in known if n not in core.TYPES] == []


def test_types_are_those_of_the_dataclasses():
    plain = lambda t: {a for a in getattr(t, '__args__', (t,)) if a is not type(None)}
    assert {n: plain(core.TYPES[n]) for n in OPTIONS} == {
        n: plain(o.type) for n, o in OPTIONS.items()}
    assert set(inspect.signature(prepare).parameters) == set(PARAMETERS)
    assert set(inspect.signature(rock_nb.fit).parameters) == {*PARAMETERS, 'show'}


@pytest.mark.parametrize('name', parameters.NOTEBOOKS)
def test_cells_of_parameters_are_made_from_the_dataclasses(name):
    cells = nbformat.read(ROOT / 'nbs' / f'{name}.ipynb', 4).cells
    tagged = [c.source for c in cells if 'parameters' in c.metadata.get('tags', [])]
    assert tagged == [parameter_cell(parameters.NOTEBOOKS[name])], 'run python docs/parameters.py'


@pytest.mark.parametrize('file', sorted((ROOT / 'nbs').glob('0*.ipynb')), ids=lambda f: f.stem)
def test_papermill_knows_every_parameter(file, caplog):
    cells = nbformat.read(file, 4).cells
    [source] = [c.source for c in cells if 'parameters' in c.metadata.get('tags', [])]
    names = {getattr(line, 'target', None) or line.targets[0] for line in ast.parse(source).body}
    assert set(papermill.inspect_notebook(str(file))) == {n.id for n in names}
    assert not caplog.records


def test_make_takes_what_the_pipeline_does():
    text = (ROOT / 'Makefile').read_text().replace('\\\n', ' ')
    given = next(l for l in text.splitlines() if l.startswith('GIVEN ')).partition(':=')[2].split()
    names = dict(g.split(':') for g in given)
    assert sorted(names.values()) == sorted(OF_PIPELINE)
    assert {k for k, v in names.items() if k != v.upper()} == {'RECIPES'}


CASES = {
    '--run 297e781': dict(run='297e781'), '--run 001': dict(run='001'),
    '--run 1_000': dict(run='1_000'), '--run 0x10': dict(run='0x10'),
    '--run True': dict(run='True'), '--run 1e5': dict(run='1e5'), '--run nan': dict(run='nan'),
    '--run=-5': dict(run='-5'), '--run a,b': dict(run='a,b'), "--run '5'": dict(run="'5'"),
    '--run [1]': dict(run='[1]'), '--data 2024': dict(data=f'{FOLDER}/2024'),
    '--out 5': dict(out=f'{FOLDER}/5'), '--out 1e5': dict(out=f'{FOLDER}/1e5'),
    '--folds 5': dict(folds=5), '--folds 2024.csv': dict(folds=f'{FOLDER}/2024.csv'),
    '--fold 1 --test_fold 0': dict(fold=1, test_fold=0), '--level -1': dict(level=-1),
    '--lr 1e-3 --weight_decay 0': dict(lr=1e-3, weight_decay=0), '--device 0': dict(device='0'),
    '--pretrained False': dict(pretrained=False), '--pretrained true': dict(pretrained=True),
    '--pretrained 0': dict(pretrained=False),
    '--pretrained ./True': dict(pretrained=f'{FOLDER}/True'),
    '--pretrained 2024': dict(pretrained=f'{FOLDER}/2024'),
    '--deterministic false': dict(deterministic=False), '--by_step 1': dict(by_step=True),
    '--sync_bn True': dict(sync_bn=True), '--img_size 128': dict(img_size=128),
    '--img_size 128,96': dict(img_size=(128, 96)), '--img_size 128x96': dict(img_size='128x96'),
    '--epochs 1e1': dict(epochs=10), '--batch_size 8.0': dict(batch_size=8),
    '--arch 2024': dict(arch='2024'), '--label 5': dict(label='5'), '--track 1': dict(track='1'),
    '--scale None --fold None --pretrained None': {}, '--nnodes 2:4': dict(nnodes='2:4'),
    '--every 0': dict(every=0), '--augment 2024': dict(augment='2024'),
    '--lr_scale head=10': dict(lr_scale='head=10')}


@pytest.mark.parametrize('words', CASES)
def test_a_word_is_read_by_its_type(words):
    given = told(words.split(' '))
    assert given == CASES[words] and {k: type(v) for k, v in given.items()} == {
        k: type(v) for k, v in CASES[words].items()}


@pytest.mark.parametrize('words, says', {'--fold two': "fold 'two' is wrong; expected a whole "
                                                       "number", '--lr fast':
                                                           "lr 'fast' is wrong; expected a number", '--epochs 1.5': "epochs '1.5' is wrong",
                                         '--deterministic maybe':
                                             "deterministic 'maybe' is wrong; expected True or "
                                             "False", '--img_size big': "img_size 'big' is wrong", '--data=': 'data is empty', '--run=': 'run is empty'}.items())
def test_a_wrong_word_is_one_sentence(words, says):
    with pytest.raises(BadInput) as e: told(words.split(' '))
    assert str(e.value).startswith(says) and '\n' not in str(e.value)


@pytest.mark.parametrize('words, says', {'--fold 1': 'unknown option --fold (did you mean --folds?)', '--runn x':
    'unknown option --runn (did you mean --run?)', 'x': "'x' belongs to no option"}.items())
def test_options_are_written_in_full(words, says, capsys):
    with pytest.raises(SystemExit): told(words.split(' '), OF_FOLDS)
    assert capsys.readouterr().err.startswith(f'BadInput: {says}; ')


def test_no_name_is_said(capsys):
    assert (
        told(['--run', 'None']) == {}
        and '--run None is the same as none given' in capsys.readouterr().err)


def test_grids_spaces_and_jobs_read_as_options_do():
    assert read_grid(
        'pretrained=true,False arch=2024,resnet18 img_size=(128,96),64 lr=1e-3,1') == dict(
        pretrained=[True, False], arch=['2024', 'resnet18'], img_size=[(128, 96), 64], lr=[1e-3, 1])
    assert read_space('img_size=128x96,64 pretrained=0,1 augment=2024,v2') == dict(
        img_size=['128x96', 64], pretrained=[False, True], augment=['2024', 'v2'])
    job = check_training(dict(run=297, data=2024, epochs='2', pretrained='False'))
    assert (job['run'], job['data'], job['epochs'], job['pretrained']) == ('297', '2024', 2, False)


def test_a_gpu_by_its_number():
    with pytest.raises(BadInput, match="the device 'cuda:99' cannot be used"):
        pick_device('99')


@pytest.mark.parametrize('given, says', {'run 1e5': (dict(run=1e5),
    'run 100000.0 is wrong; expected text'), 'data []': (dict(data=True), 'data True is wrong'), 'fold': (dict(fold='x'), "fold 'x' is wrong")}.values())
def test_python_is_told_too(given, says, tmp_path):
    with pytest.raises(BadInput) as e: fit(**{**TINY, 'out': tmp_path, **given})
    assert str(e.value).startswith(says) and not list(tmp_path.iterdir())


@pytest.mark.processes
def test_make_hands_over_what_it_was_given():
    r = shell(
        'make', '-n', '--no-print-directory', 'demo', 'DATA=2024', "OUT=it's 5", 'LEVEL=-1',
        'RECIPES=baseline v5', f'VENV={Path(sys.executable).parents[1]}', MAKEFLAGS='',
        MAKELEVEL='0')
    assert r.returncode == 0, r.stderr
    words = shell(
        'sh', '-c', r.stdout.splitlines()[-1]
        .replace(f'{sys.executable} -m rock_nb.pipeline', 'printf "%s\\n"')
        .replace(
            f'{Path(sys.executable).parents[1]}/bin/python -m rock_nb.pipeline', 'printf "%s\\n"')
    ).stdout.splitlines()
    assert words == ['--versions=baseline v5', '--data=2024', "--out=it's 5", '--level=-1']


CELL = '''from rock_nb import core
import json
run = data = folds = name = None'''
ASK = '''json.dump(core.parameters(globals(), 'run', 'data', 'folds', 'name'), open('said.json', 'w'))'''


@pytest.mark.processes
def test_papermill_keeps_what_was_typed(tmp_path):
    "Its -p makes numbers of 001 and 297e781; its -r doesn't."
    cells = [
        nbformat.v4.new_code_cell(CELL, metadata=dict(tags=['parameters'])),
        nbformat.v4.new_code_cell(ASK)]
    kernel = dict(kernelspec=dict(name='python3', language='python', display_name='Python 3'))
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / 'ask.ipynb')
    r = shell(
        'papermill', 'ask.ipynb', 'out.ipynb', '--no-progress-bar', '-p', 'run', '297e781', '-p',
        'data', '002024', '-p', 'folds', '5', '-r', 'name', '001', cwd=tmp_path,
        PYTHONPATH=str(ROOT))
    assert r.returncode == 0, r.stderr[-2000:]
    assert json.loads((tmp_path / 'said.json').read_text()) == dict(
        run='297e781', data='002024', folds=5, name='001')
    r = shell(
        'papermill', 'ask.ipynb', 'out.ipynb', '--no-progress-bar', '-y', 'run: 1.0e+5',
        cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert (
        r.returncode != 0
        and 'run came as the number 100000.0, what was meant is lost; give it as text: -r run'
        in r.stderr)


@pytest.fixture(scope='module')
def home(sample, tmp_path_factory):
    "A folder where all names are made of digits: photographs in 2024, runs in 5."
    home = tmp_path_factory.mktemp('names')
    shutil.copytree(sample / 'train', home / '2024')
    photos = [home / '2024' / p for p in list_images(home / '2024')[:3]]
    shutil.copy(photos[0], home / '암석 1, neu.png')
    shutil.copy(photos[1], os.fsencode(home) + b'/caf\xe9.jpg')
    shutil.copy(photos[2], home / '-1.jpg')
    (home / 'link.jpg').symlink_to(photos[0])
    (home / 'broken.jpg').write_bytes(b'no picture')
    here = Path.cwd()
    os.chdir(home)
    try: fit(**TINY, epochs=1, workers=0, run=1, data=2024, out=home / '5')
    finally: os.chdir(here)
    return SimpleNamespace(path=home, photos=[str(p.relative_to(home)) for p in photos])


def said(home, monkeypatch, capsys, *words, code=None):
    monkeypatch.chdir(home.path)
    if code is None: main([*words, '--out', '5', '--run', '1', '--workers', '0'])
    else:
        with pytest.raises(SystemExit) as e:
            main([*words, '--out', '5', '--run', '1', '--workers', '0'])
        assert e.value.code == code
    return capsys.readouterr()


def test_a_run_called_1_of_data_called_2024(home):
    assert Run(home.path / '5' / '1').done and core.find_run(1, home.path / '5').name == '1'
    assert json.loads(Run(home.path / '5' / '1').environment.read_text())['data'] == str(
        (home.path / '2024').resolve())


def test_photographs_answer_under_the_names_that_were_given(home, monkeypatch, capsys):
    a = home.photos[0]
    names = [a, f'./{a}', a, str(home.path / a), f'2024/../{a}', 'link.jpg', '암석 1, neu.png']
    rows = [
        json.loads(line)
        for line in said(
            home, monkeypatch, capsys, *names, '--json', '--csv', 'a.csv', '--npz', 'a.npz'
        ).out.splitlines()]
    assert (
        [r['file'] for r in rows] == names == pd.read_csv('a.csv').file.tolist()
        == list(load_predictions('a.npz').ids))
    assert len({r['probability'] for r in rows}) == 1      # it is one photograph
    for voters in ('1', '1,1'):
        assert list(
            predict_images(voters, ['link.jpg', 'link.jpg'], out=home.path / '5', workers=0).ids
        ) == ['link.jpg', 'link.jpg']
    inside = predict_images('1', './2024/', out=home.path / '5', workers=0).ids
    assert list(inside) == [f'./2024/{p}' for p in list_images('2024')]


def test_lists_of_photographs(home, monkeypatch, capsys):
    (home.path / 'lists').mkdir(exist_ok=True)
    a, b = home.photos[:2]
    pd.DataFrame(dict(id=[1, 2, 3], img_path=[f'../{b}', a, f'../{b}'])).to_csv(
        home.path / 'lists' / 'l.csv', index=False, sep=';')
    (home.path / 'l.txt').write_text(f'{b}\n암석 1, neu.png\n')
    for words, names in (
        (['lists/l.csv'], [f'../{b}', a, f'../{b}']),
        (['l.txt', a], [b, '암석 1, neu.png', a]),
    ):
        rows = [
            json.loads(line)
            for line in said(home, monkeypatch, capsys, *words, '--json').out.splitlines()]
        assert [r['file'] for r in rows] == names
    for text in (f'{b}\n{a}\n', f'{b}\0{a}\0'):
        monkeypatch.setattr(sys, 'stdin', SimpleNamespace(buffer=io.BytesIO(text.encode())))
        assert [
            json.loads(line)['file']
            for line in said(home, monkeypatch, capsys, '-', '--json').out.splitlines()] == [b, a]
    (home.path / 'l.txt').write_text(f'{b}\nnothing.jpg\n')
    monkeypatch.chdir(home.path)
    with pytest.raises(SystemExit) as e: main(['l.txt', '--out', '5'])
    assert 'the list l.txt names nothing.jpg (2. of its paths), which is not there' in str(e.value)


def test_an_unreadable_one_is_named_as_it_was_given(home, monkeypatch, capsys):
    found = said(home, monkeypatch, capsys, './broken.jpg', home.photos[0], './broken.jpg', code=1)
    assert (
        found.err.count('the image ./broken.jpg cannot be read') == 1
        and found.out.count(home.photos[0]) == 1)


@pytest.mark.parametrize('width', [60, 100, None])
def test_the_table_fits_its_terminal(home, width, monkeypatch, capsys):
    monkeypatch.setenv('COLUMNS', str(width or 40))
    if width: monkeypatch.setattr(sys.stdout, 'isatty', lambda: True)
    long = '/'.join(['.'] * 60) + '/' + home.photos[0]
    lines = said(home, monkeypatch, capsys, long).out.splitlines()
    assert (
        (max(map(len, lines)) <= width and '…' in lines[1] and Path(long).name[-6:] in lines[1])
        if width else lines[1].split()[0] == long)


@pytest.mark.processes
def test_in_a_pipe(home):
    """Names that are no UTF-8 or begin with a dash go out as they came in; whoever takes only the
    head is not in the way of files and exit code."""
    how = f'{sys.executable} -m rock_nb.predict --out 5 --run 1 --workers 0'
    script = f'''{how} caf* -1.jpg 2024 --csv head.csv | head -n 1; echo "${{PIPESTATUS[0]}}"'''
    r = shell(
        'bash', '-c', script, cwd=home.path, PYTHONPATH=str(ROOT), PYTHONUNBUFFERED='1',
        LC_ALL='C.UTF-8')
    assert (
        r.stdout.splitlines()[0].split()[:2] == ['file', 'class']
        and r.stdout.splitlines()[-1] == '0' and 'Error' not in r.stderr
        and 'Exception' not in r.stderr), r.stderr[-1000:]
    rows = (home.path / 'head.csv').read_bytes().splitlines()
    assert (
        rows[1].startswith(b'caf\xe9.jpg,') and rows[2].startswith(b'-1.jpg,')
        and len(rows) == 3 + len(list_images(home.path / '2024')))


def test_a_name_that_is_no_utf8_in_json_and_npz(home, monkeypatch, capsys):
    name = os.fsdecode(b'caf\xe9.jpg')
    line = said(home, monkeypatch, capsys, name, '--json', '--npz', 'odd.npz').out.strip()
    assert json.loads(line)['file'] == name and load_predictions('odd.npz').ids.tolist() == [name]


@pytest.mark.parametrize('kind', ['folder', 'redis'])
def test_a_done_job_whose_folder_is_gone(kind, server, tmp_path, no_queue_of_ones_own):
    from rock_nb.jobs.worker import Worker
    from rock_nb.queue import open_queue
    queue = open_queue(
        **(server().queue if kind == 'redis' else dict(folder=str(tmp_path / 'queue'))))
    def done():
        (tmp_path / 'one').mkdir()
        (tmp_path / 'one' / 'result').write_text('slept')
        assert Worker(queue, 'once', lambda *words: None).run() == 'nothing left'
    publish_jobs(queue, [nap(tmp_path, 'one')])
    done()
    job = nap(tmp_path, 'one')
    with pytest.raises(
        BadInput,
        match=f'is in the queue and done; its folder is {tmp_path}/one: delete both to do it anew'):
        publish_jobs(queue, [job])
    with pytest.raises(BadInput, match='is done; only one that failed or was stopped'):
        queue.requeue(job.id)
    for again in (lambda: publish_jobs(queue, [job]), lambda: queue.requeue(job.id)):
        shutil.rmtree(tmp_path / 'one')
        again()
        assert (queue.find(job.id).state, queue.find(job.id).attempts, len(queue.jobs())) == (
            'waiting', 0, 1)
        done()
        assert (queue.find(job.id).state, queue.find(job.id).result) == ('done', dict(said='slept'))
