"""Whatever is given wrongly ends in one sentence that names it, before anything is trained."""
import shutil

import pandas as pd
import pytest
from PIL import Image

from conftest import ROOT, TINY as SMALL, shell
from rock_nb.core import BadInput
from rock_nb.train import fit


@pytest.fixture
def photos(sample, tmp_path):
    "A copy of the sample that may be damaged."
    return shutil.copytree(sample, tmp_path / 'photos')


TINY = dict(SMALL, workers=0)


def first(folder): return sorted(folder.glob('train/Basalt/*'))[0]


def no_folder(d): shutil.rmtree(d)
def empty_class(d): (d / 'train' / 'Quartz').mkdir()
def one_class(d): [shutil.rmtree(c) for c in (d / 'train').iterdir() if c.name != 'Basalt']
def unreadable(d): first(d).write_bytes(b'no picture')
def cut_short(d): first(d).write_bytes(first(d).read_bytes()[:600])
def missing_test(d): (d / 'test' / 'TEST_00003.jpg').unlink()
def twice(d):
    (d / 'test.csv').write_text((d / 'test.csv').read_text() + 'TEST_00000,./test/TEST_00001.jpg\n')
def other_sample(d):
    (d / 'sample_submission.csv').write_text('ID,rock_type\nTEST_99999,Basalt\n')
def marble(d):
    pd.read_csv(d / 'test.csv').assign(label='Marble').to_csv(d / 'test.csv', index=False)
def fine(d): pass


def one_photo(d):
    for p in sorted(d.glob('train/Etc/*'))[1:]: p.unlink()


CASES = {
    'no data folder': (no_folder, {}, 'no data folder'),
    'an empty class folder': (empty_class, {}, 'Quartz holds no image'),
    'one class only': (one_class, {}, 'one class only (Basalt)'),
    'fewer images than folds': (fine, dict(folds=20), 'fewer than the 20'),
    'one image of a class': (one_photo, {}, 'class Etc has 1 image of its own'),
    'an unreadable image': (unreadable, {}, 'TRAIN_00000.jpg cannot be read'),
    'an image cut short': (cut_short, {}, 'TRAIN_00000.jpg cannot be read'),
    'test.csv names a missing file': (
        missing_test, {}, 'names ./test/TEST_00003.jpg, which is not there'),
    'another sample submission': (other_sample, {}, 'differ in ids'),
    'a test class that nobody learns': (marble, {}, "has the class 'Marble' for"),
    'duplicate ids': (twice, {}, "has the id 'TEST_00000' twice"),
    'unknown recipe': (fine, dict(version='v9'), "unknown recipe 'v9'"),
    'unknown arch': (fine, dict(arch='resnet1o1'), "timm has no architecture 'resnet1o1'"),
    'unknown field': (fine, dict(archh='x'), "unknown recipe field 'archh' (did you mean 'arch'?)"),
    'unknown augmentation': (fine, dict(augment='v7'), "unknown augmentation set 'v7'"),
    'negative lr': (fine, dict(lr=-1e-3), 'lr -0.001 is wrong'),
    'no epoch': (fine, dict(epochs=0), 'epochs 0 is wrong'),
    'a batch of none': (fine, dict(batch_size=0), 'batch_size 0 is wrong'),
    'half a pixel': (fine, dict(img_size=64.5), 'img_size 64.5 is wrong'),
    'unknown device': (fine, dict(device='abacus'), "the device 'abacus' cannot be used"),
    'negative workers': (fine, dict(workers=-1), 'workers -1'),
    'unknown scale': (fine, dict(scale='huge'), "unknown scale 'huge'"),
    'a fold that is not there': (fine, dict(folds=3, fold=5), "fold 5 doesn't exist"),
    'a weight file that is not there': (
        fine, dict(pretrained='weights.pth'), 'there is no weight file'),
    'an output folder that cannot be written': (fine, dict(out='/proc/runs'), "can't be made"),
    'a memory without balanced batches': (
        fine, dict(hard_memory=10), 'give sampler balanced instead of shuffle'),
    'an unknown loss': (fine, dict(loss='focl'), "unknown loss 'focl' (did you mean 'focal'?)"),
    'an unknown optimizer': (fine, dict(optimizer='adamm'), "unknown optimizer 'adamm'"),
    'a size in words': (fine, dict(img_size='big'), "img_size 'big' is wrong"),
    'more pieces than photographs': (fine, dict(accumulate=500), 'take a smaller accumulate'),
    'sampling by text': (
        fine, dict(by_step='yes'), "by_step 'yes' is wrong; expected True or False"),
    'synchronised normalisation without GPUs': (
        fine, dict(sync_bn=True, device='cpu'), '`sync_bn` needs GPUs'),
    'machines without a place to meet': (fine, dict(nnodes=4), "give rdzv='host:port'"),
    'no process': (fine, dict(nproc=0), 'nproc 0'),
    'no thread': (fine, dict(threads=0), 'threads 0 is wrong'),
    'a set that wants its own square': (fine, dict(augment='b'), 'stretch'),
    'a function that is not there': (fine, dict(shift='nowhere:younger'), 'nowhere'),
    'an attribute that is not there': (fine, dict(target='age'), "'age'"),
    'layers of a network without that option': (
        fine, dict(arch='vgg11', drop_path_rate=0.1), 'drop_path_rate'),
    'a tracker that is not there': (fine, dict(track='notebook'), "'notebook'"),
    'a run name that cannot be a folder': (fine, dict(run='../v1'), "run name '../v1'")}


@pytest.mark.parametrize('name', CASES)
def test_one_sentence(name, photos, tmp_path):
    damage, given, says = CASES[name]
    damage(photos)
    with pytest.raises(BadInput) as e:
        fit(**{**TINY, 'data': photos, 'out': tmp_path / 'runs', 'epochs': 1, **given})
    assert says in str(e.value) and '\n' not in str(e.value)
    assert not list(tmp_path.glob('runs/*/history.csv'))


def test_class_names_of_a_finished_run_are_kept(photos, tmp_path):
    run = fit(**TINY, data=photos, out=tmp_path, epochs=1)
    first(photos).unlink()
    with pytest.raises(BadInput, match='holds another run .*data:'):
        fit(**TINY, data=photos, out=tmp_path, epochs=1)
    assert run.done


def test_skip_is_recorded(photos, tmp_path):
    unreadable(photos)
    (photos / 'test' / 'TEST_00003.jpg').write_bytes(b'no picture')
    run = fit(**TINY, data=photos, out=tmp_path, epochs=1, on_error='skip')
    skipped = pd.read_csv(run.skipped)
    assert (
        set(skipped.path) == {'train/Basalt/TRAIN_00000.jpg', 'test/TEST_00003.jpg'}
        and len(skipped.error[0]) > 5)
    asked, said = (pd.read_csv(f) for f in (photos / 'sample_submission.csv', run.submission))
    assert sorted(said.ID) == sorted(asked.ID)          # a submission is complete
    assert 'train/Basalt/TRAIN_00000.jpg' not in pd.read_csv(run.split).path.tolist()


def test_real_photographs_never_get_a_silent_random_start(tmp_path, monkeypatch):
    for c in ('A', 'B'):
        (tmp_path / 'own' / c).mkdir(parents=True)
        for i in range(4):
            Image.new('RGB', (8, 8), (i * 20, 9, 9)).save(tmp_path / 'own' / c / f'{i}.png')
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    monkeypatch.setenv('HF_HUB_CACHE', str(tmp_path / 'cache'))
    with pytest.raises(
        BadInput,
        match='no weights of resnet18 can be had here: .*a weight file.*package.*pretrained False',
    ):
        fit(data=tmp_path / 'own', arch='resnet18', out=tmp_path / 'runs')


@pytest.mark.processes
def test_shell_says_one_sentence_and_fails(tmp_path):
    r = shell('python', '-m', 'rock_nb.train', '--data', 'nowhere', cwd=tmp_path)
    assert r.returncode != 0 and r.stderr.strip().splitlines()[-1].startswith(
        f'BadInput: no data folder {tmp_path}/nowhere')
    assert 'Traceback' not in r.stderr


@pytest.mark.processes
def test_papermill_says_it_too(sample, tmp_path):
    r = shell(
        'papermill', 'nbs/03_train.ipynb', tmp_path / 'o.ipynb', '-p', 'data', sample, '-p', 'lr',
        '-1', '-p', 'out', tmp_path / 'runs')
    assert r.returncode != 0 and 'Traceback' not in r.stderr
    assert r.stderr.splitlines()[-1].startswith('BadInput: lr -1 is wrong')
    assert ROOT.joinpath('nbs').is_dir() and not list(tmp_path.glob('runs/*/history.csv'))
