"""The pipeline knows before its first step what would stop a later one, and its runs can vote; files vote without photographs."""
import json
import shutil
import time

import nbformat
import numpy as np
import pandas as pd
import pytest

from conftest import flags, shell
from rock_nb import core, pipeline as pipes
from rock_nb.jobs import notebook_step
from rock_nb.core import BadInput, Run, read_json
from rock_nb.ensemble import ensemble, find_members
from rock_nb.train import fit

CLASSES = np.array(['Andesite', 'Basalt', 'Etc', 'Gneiss', 'Granite'])
SMALL = dict(arch='test_resnet', pretrained=False, scale='smoke', workers=0)


@pytest.fixture(scope='module')
def folders(sample, tmp_path_factory):
    "Plain class folders, without a test set."
    return shutil.copytree(sample / 'train', tmp_path_factory.mktemp('own') / 'photos')


@pytest.fixture
def steps_done(monkeypatch):
    "The steps that a pipeline would do, without doing them."
    done = []
    monkeypatch.setattr(notebook_step, 'run_step', lambda step, *_: done.append(step))
    monkeypatch.setattr(pipes, 'results', lambda *_: pd.DataFrame())
    monkeypatch.setattr(pipes, 'write_results', lambda table, out: table)
    return done


@pytest.fixture
def root(tmp_path, monkeypatch):
    "A project folder that has nothing in it."
    monkeypatch.setenv('ROCK_NB_ROOT', str(tmp_path / 'project'))
    (tmp_path / 'project').mkdir()
    return tmp_path / 'project'


def valid_of(steps):
    return [s.given.get('valid') for s in steps if s.notebook == '03_train']


# ---------------------------------------------------------------- one split

@pytest.mark.parametrize('names, given, wanted', [
    ('baseline quick', {}, [.3, .3]), ('quick baseline', {}, [.2, .2]), ('baseline quick', dict(valid=.25), [.25, .25]),
    ('baseline v3', {}, [None, None]), ('quick thorough', {}, [None, None]), ('baseline quick', dict(folds=3), [None, None])])
def test_all_runs_hold_out_the_same(folders, tmp_path, steps_done, names, given, wanted):
    pipes.pipeline(names, tmp_path, data=str(folders), **SMALL, **given)
    assert valid_of(steps_done) == wanted
    looks = [s.given.get('valid') for s in steps_done if s.notebook in ('01_eda', '02_augment')]
    assert set(looks) == {wanted[0]}                     # what is looked at is what is learned from


def test_folds_of_the_data_set_count(folders, tmp_path, steps_done):
    paths = sorted(p.relative_to(folders).as_posix() for p in folders.rglob('*.jpg'))
    pd.DataFrame(dict(path=paths, fold=np.arange(len(paths)) % 3)).to_csv(
        tmp_path / 'folds.csv', index=False)
    pipes.pipeline(
        'baseline quick', tmp_path / 'runs', data=str(folders), folds=str(tmp_path / 'folds.csv'),
        **SMALL)
    assert valid_of(steps_done) == [None, None]


@pytest.mark.slow
def test_runs_of_a_pipeline_can_vote(folders, tmp_path, steps_done):
    pipes.pipeline('baseline quick', tmp_path, data=str(folders), **SMALL)
    for s in steps_done:
        if s.notebook == '03_train': fit(show=lambda *_: None, **s.given)
    e = ensemble('baseline,quick', out=tmp_path)
    assert {'f1', 'accuracy'} <= set(read_json(e.metrics)['valid'])
    assert {
        read_json(Run(tmp_path / n).recipe)['recipe']['valid'] for n in ('baseline', 'quick')
    } == {0.3}
    # .2: it can't be heard with them
    fit('quick', data=str(folders), out=tmp_path, run='alone', show=lambda *_: None, **SMALL)
    with pytest.raises(
        BadInput, match='kept different images apart for validation; train both with the same'
    ):
        ensemble('baseline,alone', out=tmp_path, name='no')
    fit(
        'baseline', data=str(folders), out=tmp_path, run='last', epochs=1, seed=41,
        show=lambda *_: None, **SMALL)
    assert [r.name for r in find_members(None, tmp_path)] == ['baseline', 'last', 'quick']


# ---------------------------------------------------------------- before the first step

def spoiled(what, photos, out):
    "Something that would stop a later step."
    if what == 'one photograph':
        [f.unlink() for f in sorted((photos / 'Etc').iterdir())[1:]]
    if what == 'broken photograph':
        next((photos / 'Etc').iterdir()).write_bytes(b'\xff\xd8\xff nothing')
    if what == 'other sample':
        (photos / 'test').mkdir()
        shutil.copy(next((photos / 'Etc').iterdir()), photos / 'test' / 'T1.jpg')
        (photos / 'sample_submission.csv').write_text('ID,rock_type\nT1,Etc\nT2,Etc\n')
    if what == 'another run':
        core.write_json(
            Run(out / 'quick').recipe, dict(recipe=dict(arch='resnet50', valid=0.2), data='0' * 16))
    if what == 'no ensemble':
        core.write_json(Run(out / 'ensemble').recipe, dict(recipe=dict(arch='resnet50')))
    if what == 'weights': core.write_text(out / 'w.pth', 'no weights')


@pytest.mark.parametrize('what, given, says', [
    ('epochs', dict(epochs=1), 'recipe quick: epochs 1 is wrong; expected a whole number from 3'),
    ('networks', dict(arch='resnet50', pretrained=True), 'recipe baseline: no weights of resnet50 '
                                                         'can be had here'),
    ('size', dict(arch='test_vit'), 'recipe quick: test_vit cannot take images of 24×24 px'),
    ('weights', dict(pretrained='w.pth'), r'recipe baseline: the weight file .*w\.pth is no whole '
                                          r'file of torch\.save'),
    ('device', dict(device='abacus'), "the device 'abacus' cannot be used"),
    ('loaders', dict(workers=-1), 'workers -1 is wrong'),
    ('test fold', dict(test_fold=1), '`test_fold` needs folds'),
    ('fold', dict(folds=3, fold=7), "fold 7 doesn't exist"),
    ('on_error', dict(on_error='ignore'), "unknown on_error 'ignore'"),
    ('one photograph', {}, 'class Etc has 1 image of its own, fewer than the 2'),
    ('broken photograph', {}, 'cannot be read'),
    ('other sample', {}, r"sample_submission\.csv and the test images differ in ids, first "
                         r"'T2'"),
    ('another run', {}, r'quick holds another run \(.*resnet50.*valid: 0\.2 -> 0\.3'),
    ('no ensemble', {}, 'ensemble holds something else than an ensemble')])
def test_what_stops_a_later_step_is_known_before_the_first(
    folders, tmp_path, steps_done, monkeypatch, what, given, says
):
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    photos, out = shutil.copytree(folders, tmp_path / 'photos'), tmp_path / 'runs'
    out.mkdir()
    spoiled(what, photos, out)
    if 'pretrained' in given and isinstance(given['pretrained'], str):
        given = given | dict(pretrained=str(out / given['pretrained']))
    with pytest.raises(BadInput, match=says):
        pipes.pipeline('baseline quick', out, data=str(photos), **SMALL | given)
    assert not steps_done


def test_no_room_is_known_before_the_first_step(folders, tmp_path, steps_done, monkeypatch):
    monkeypatch.setattr(
        pipes.shutil, 'disk_usage', lambda _: shutil._ntuple_diskusage(10**6, 10**6 - 1000, 1000))
    with pytest.raises(
        BadInput, match='0.0 GB free, and the weights of these runs need .* make room'
    ):
        pipes.pipeline('baseline quick', tmp_path, data=str(folders), **SMALL)
    assert not steps_done


def test_a_vote_that_cannot_be_is_not_published(folders, sample, tmp_path, monkeypatch):
    from rock_nb.jobs.folder import FolderQueue
    from rock_nb.queue import publish
    monkeypatch.setenv(
        'ROCK_QUEUE_PATHS', str(folders.parents[1]) + ':' + str(tmp_path) + ':' + str(sample.parent)
    )
    queue = FolderQueue(tmp_path / 'queue')
    with pytest.raises(
        BadInput,
        match=r'baseline and quick hold out different photographs \(valid 0\.3 and 0\.2\).*--valid '
              r'0\.3',
    ):
        publish(queue, 'baseline,quick', 'all', data=str(folders), out=str(tmp_path))
    assert not queue.jobs()
    assert (
        len(
            publish(queue, 'baseline,quick', 'all', data=str(folders), out=str(tmp_path), valid=0.3)
        )
        == 3)
    # they vote on test photographs
    assert (
        len(
            publish(
                queue, 'baseline,quick', 'contest', data=str(sample), out=str(tmp_path / 'contest'))
        )
        == 3)
    # no vote, no matter
    assert (
        len(publish(queue, 'baseline,quick', data=str(folders), out=str(tmp_path / 'apart'))) == 2)


# ---------------------------------------------------------------- files

def answers(folder, n=300, seed=0, **right):
    "CSV files of voters that are right so often."
    g = np.random.default_rng(seed)
    truth, ids = g.choice(5, n, p=[.3, .25, .05, .15, .25]), [f'T{i:05d}' for i in range(n)]
    said = {}
    for name, q in right.items():
        said[name] = np.where(g.random(n) < q, truth, g.integers(0, 5, n))
        pd.DataFrame(dict(ID=ids, rock_type=CLASSES[said[name]])).to_csv(
            folder / f'{name}.csv', index=False)
    return said, truth, ids


def by_hand(said):
    "The class that most name; of several the one that all files together name least."
    table = np.stack([*said.values()], 1)
    total = np.bincount(table.ravel(), minlength=5)
    return [
        min(set(row), key=lambda c: (-list(row).count(c), total[c], c)) for row in table.tolist()]


def test_files_vote_without_anything_else(root, tmp_path):
    said, _, ids = answers(tmp_path, a=.8, b=.7, c=.75)
    files = [str(tmp_path / f'{n}.csv') for n in said]
    run = ensemble(files=files)
    frame = pd.read_csv(run.submission)
    assert list(frame) == ['ID', 'rock_type'] and frame.ID.tolist() == ids
    assert frame.rock_type.tolist() == CLASSES[by_hand(said)].tolist()
    # nobody draws photographs for a vote
    assert not (root / 'data').exists()
    assert read_json(run.recipe)['ties'] == 'votes' and 'data' not in read_json(run.environment)
    stamp = run.metrics.stat().st_mtime_ns
    assert ensemble(files=','.join(files)).metrics.stat().st_mtime_ns == stamp
    assert ensemble(files=str(tmp_path / '?.csv').replace('?', '*'), name='stars').done
    with pytest.raises(BadInput, match='no file is called'):
        ensemble(files=str(tmp_path / 'z*.csv'))


def test_probabilities_are_averaged(root, tmp_path):
    (tmp_path / 'a.csv').write_text('id,Basalt,Granite\n1,.9,.1\n2,.4,.6\n')
    (tmp_path / 'b.csv').write_text('id;p_Granite;p_Basalt\n002;0,1;0,9\n001;0,6;0,4\n')
    run = ensemble(files=[tmp_path / 'a.csv', tmp_path / 'b.csv'])
    assert pd.read_csv(run.submission, dtype=str).values.tolist() == [
        ['1', 'Basalt'], ['2', 'Basalt']]
    np.testing.assert_allclose(
        pd.read_csv(run.path / 'probabilities.csv')[['Basalt', 'Granite']],
        [[0.65, 0.35], [0.65, 0.35]])
    assert any('matched as numbers' in r for r in read_json(run.metrics)['remarks'])
    # what came out may vote
    again = ensemble(files=[run.path / 'probabilities.csv', tmp_path / 'a.csv'], name='again')
    assert read_json(again.recipe)['kind'] == 'probabilities'
    (tmp_path / 'c.csv').write_text('id,rock_type\n1,Basalt\n2,Basalt\n')
    with pytest.raises(BadInput, match='a.csv holds probabilities and .*c.csv classes'):
        ensemble(files=[tmp_path / 'a.csv', tmp_path / 'c.csv'], name='mixed')


@pytest.mark.parametrize('text, says', [
    ('ID,rock_type\nT00000,Etc\n', r"odd\.csv has no answer for 'T00001' \(299 of the 300 ids of "
                                   r".*a\.csv in all\)"),
    ('nothing', 'odd.csv'), ('', 'odd.csv'), ('ID,x,y\nT00000,a,b\nT00001,a,b\n',
        'no column of classes among x, y')])
def test_a_file_that_does_not_fit_is_one_sentence(root, tmp_path, text, says):
    answers(tmp_path, a=.8)
    (tmp_path / 'odd.csv').write_text(text)
    with pytest.raises(BadInput, match=says) as e:
        ensemble(files=[tmp_path / 'a.csv', tmp_path / 'odd.csv'])
    assert '\n' not in str(e.value)


def test_a_data_set_that_is_named_must_fit_and_one_that_lies_around_may(root, tmp_path):
    said, _, ids = answers(tmp_path, a=.8, b=.7)
    files, contest = [str(tmp_path / f'{n}.csv') for n in said], tmp_path / 'contest'
    contest.mkdir()
    pd.DataFrame(dict(ID=ids[::-1], rock_type='Etc')).to_csv(
        contest / 'sample_submission.csv', index=False)
    run = ensemble(files=files, data=str(contest), name='listed')              # no photographs, but ids
    assert pd.read_csv(run.submission).ID.tolist() == ids[::-1]
    pd.DataFrame(dict(ID=ids[1:], rock_type='Etc')).to_csv(
        contest / 'sample_submission.csv', index=False)
    with pytest.raises(
        BadInput, match="differ in ids: .*has 'T00000', which the test images of"):
        ensemble(files=files, data=str(contest), name='other')
    for c in ('Chalk', 'Marble'):
        (root / 'data' / c).mkdir(parents=True)
        for i in range(3): (root / 'data' / c / f'{i}.jpg').write_bytes(b'')
    # the project has photographs of something else
    run = ensemble(files=files, name='around')
    assert 'the one that lies here does not fit' in read_json(run.metrics)['remarks'][0]
    with pytest.raises(BadInput, match="a.csv has the class .* the classes are Chalk, Marble"):
        ensemble(files=files, data=str(root / 'data'), name='no')


@pytest.mark.slow
def test_many_answers_are_counted_in_seconds_and_odd_files_are_told_of(root, tmp_path):
    n = 95_006
    said, _, ids = answers(tmp_path, n, a=.86, b=.88, c=.9, d=.84, e=.9)
    twin = said['c'].copy()
    twin[::566] = (twin[::566] + 1) % 5
    pd.DataFrame(dict(ID=ids, rock_type=CLASSES[twin])).sample(frac=1, random_state=1).to_csv(
        tmp_path / 'f.csv', index=False)
    pd.DataFrame(dict(ID=ids, rock_type=CLASSES[(said['e'] + 2) % 5])).to_csv(
        tmp_path / 'e.csv', index=False)
    begun = time.process_time()
    run = ensemble(files=[tmp_path / f'{c}.csv' for c in 'abcdef'])
    assert time.process_time() - begun < 10
    remarks = read_json(run.metrics)['remarks']
    assert len(remarks) == 2 and remarks[1].startswith('c and f differ in 168 of 95,006 answers')
    assert (
        remarks[0].startswith('e seems to have its classes exchanged: it agrees with ')
        and 'Andesite → Gneiss, Basalt → Granite, Etc → Andesite' in remarks[0])
    assert len(pd.read_csv(run.submission)) == n


@pytest.mark.processes
@pytest.mark.slow
def test_the_record_shows_the_vote(tmp_path):
    said, _, ids = answers(tmp_path, a=.8, b=.7, c=.75)
    files, out = ','.join(str(tmp_path / f'{n}.csv') for n in said), tmp_path / 'runs'
    record = tmp_path / 'vote.ipynb'
    r = shell(
        'papermill', 'nbs/05_ensemble.ipynb', record,
        *flags(dict(files=files, out=out, name='vote'), papermill=True),
        ROCK_NB_ROOT=str(tmp_path / 'home'))
    assert r.returncode == 0, r.stderr[-3000:]
    shown = '\n'.join(
        ''.join(o.get('data', {}).get('text/markdown', ''))
        + ''.join(o.get('data', {}).get('text/html', '')) for c in nbformat.read(record, 4).cells
        for o in c.get('outputs', []))
    assert (
        '3 files of classes vote: a, b, c.' in shown
        and '300 answers in the order of the first file.' in shown)
    assert (
        'rarest in all files together' in shown and '0 runs' not in shown
        and 'sample_submission' not in shown)
    assert '<th>vote</th>' in shown                                            # beside the files, and last
    assert not (tmp_path / 'home' / 'data').exists(), 'a vote of files needs no photographs'
    frame = pd.read_csv(out / 'vote' / 'submission.csv')
    assert frame.rock_type.tolist() == CLASSES[by_hand(said)].tolist()
    assert json.loads((out / 'vote' / 'metrics.json').read_text()) == dict(members=0, files=3)


@pytest.mark.processes
@pytest.mark.slow
def test_files_vote_from_the_shell(tmp_path):
    said, _, _ = answers(tmp_path, a=.8, b=.7)
    r = shell(
        'python', '-m', 'rock_nb.ensemble', 'a.csv', 'b.csv', '--weights', '2,1', '--name', 'vote',
        '--out', 'runs', cwd=tmp_path)
    assert r.returncode == 0, r.stderr[-2000:]
    assert (
        '0 runs and 2 files voted' in r.stdout
        and str(tmp_path / 'runs' / 'vote' / 'submission.csv') in r.stdout)
    assert (
        pd.read_csv(tmp_path / 'runs' / 'vote' / 'submission.csv').rock_type.tolist()
        == CLASSES[said['a']].tolist())
    r = shell('python', '-m', 'rock_nb.ensemble', 'a.csv', 'none.csv', cwd=tmp_path)
    assert (
        r.returncode != 0 and r.stderr.strip().splitlines()[-1].startswith('BadInput: ')
        and 'none.csv' in r.stderr)


def test_answers_are_scored_however_ids_are_written(tmp_path, capsys):
    "Full paths against relative ones, 01 against 1, columns of probabilities; `--classes` is named."
    from rock_nb.evaluation.compare import main, score_files
    at = lambda name, text: (tmp_path/name).write_text(text) and tmp_path/name
    truth = at('truth.csv', 'path,label\na/1.jpg,A\nb/2.jpg,B\nb/3.jpg,B\n')
    full = at('full.csv', 'file,class\n/x/b/3.jpg,A\n/x/a/1.jpg,A\n/x/b/2.jpg,B\n')
    assert score_files(full, truth)[0].value['top-1'] == pytest.approx(2/3)
    assert 'matched without folder and ending' in capsys.readouterr().out
    ids = at('ids.csv', 'id,label\n01,A\n02,B\n')
    assert score_files(at('n.csv', 'id,predicted\n2,B\n1,B\n'), ids)[0].value['top-1'] == .5
    probs = at('probs.csv', 'id,A,B\n01,.7,.3\n02,.6,.4\n')
    assert score_files(probs, ids)[0].value['top-1'] == .5
    other = at('other.csv', 'id,label\n01,C\n02,B\n')
    with pytest.raises(BadInput, match="the class 'C' for '01'; the classes are A, B; if there are more, name .*--classes"):
        score_files(other, ids)
    main([str(other), str(ids), '--classes', 'A,B,C'])


def test_a_submission_has_each_id_once_in_the_order_of_the_sample(tmp_path, capsys):
    from rock_nb.data.table import Data
    from rock_nb.evaluation.submission import write_submission
    (tmp_path/'sample.csv').write_text('ID,kind\nc,x\na,x\nb,x\n')
    train = pd.DataFrame(dict(path=list('123'), label=['x', 'x', 'y']))
    data = Data(tmp_path, train, pd.DataFrame(dict(id=list('abc'), path=list('abc'))), tmp_path/'sample.csv')
    with pytest.raises(BadInput, match="two predictions for 'a'"):
        write_submission(tmp_path/'s.csv', ['a', 'a'], ['x', 'y'], data)
    found = write_submission(tmp_path/'s.csv', ['a', 'b'], ['y', 'y'], data)
    assert found.ID.tolist() == ['c', 'a', 'b'] and found.kind.tolist() == ['x', 'y', 'y']
    assert '1 of 3 test images have no answer, first c: they get the most frequent class, x' in (
        capsys.readouterr().out)
