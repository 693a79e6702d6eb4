"""Packs: filled by a process that is killed, by two at once, over changing files, on a full disk: right pixels or a clear sentence, and the same training."""
import multiprocessing
import os
import random
import time

import numpy as np
import pytest
from PIL import Image

from conftest import TINY
from disks import mount
from rock_nb.core import BadInput
from rock_nb.data.augmentations import training
from rock_nb.data.image import ImageReader
from rock_nb.data.dataset import SampleKey, ImageDataset
from rock_nb.data.loader_workers import init_worker
from rock_nb.speed.decoded_cache import YOUNG, Pack, Store, split_deterministic_prefix, file_key, packed
from rock_nb.data.synthetic import make
from rock_nb.train import fit

@pytest.fixture(scope='module')
def files(tmp_path_factory):
    made = make(tmp_path_factory.mktemp('pack') / 'data', n=140, n_test=7, size=(60, 120))
    time.sleep(.1)
    return sorted(map(str, made.glob('train/*/*.jpg')))


@pytest.fixture(scope='module')
def steps(): return split_deterministic_prefix(training('v2', 96))[0]


@pytest.fixture(scope='module')
def right(files, steps, tmp_path_factory):
    make = Pack(tmp_path_factory.mktemp('none'), steps).make
    return {f: make(f) for f in files}


def fill(folder, files, steps):
    "A process that fills a pack."
    def work():
        init_worker(None)
        pack = Pack(folder, steps, spare=0)
        for f in files: pack(f)
    p = multiprocessing.get_context('fork').Process(target=work)
    p.start()
    return p


def ended(*processes):
    for p in processes: p.join(120)
    return all(p.exitcode == 0 for p in processes)


def check(folder, files, steps, right, whole=False):
    "All that is kept is right, and so is all that is not."
    pack = Pack(folder, steps, spare=0)
    kept = {f: pack.store.get(file_key(f)) for f in files}
    for f, k in kept.items():
        assert k is None or (pack.decode(*k) == right[f]).all()
    if whole: assert None not in kept.values()
    return sum(k is not None for k in kept.values())


@pytest.mark.processes
def test_killed_at_random_instants(files, steps, right, tmp_path):
    gen, seen = random.Random(41), []
    for n in range(40):
        p = fill(tmp_path, files, steps)
        # longer and longer, for a machine that has other work
        time.sleep(gen.uniform(.005, .04)*(1 + n/4))
        p.kill()
        p.join()
        seen.append(check(tmp_path, files, steps, right))
        if seen[-1] == len(files): break
    assert seen == sorted(seen) and any(0 < n < len(files) for n in seen)      # nothing that was kept is lost
    assert ended(fill(tmp_path, files, steps))
    check(tmp_path, files, steps, right, whole=True)


@pytest.mark.processes
def test_cut_off_anywhere(files, steps, right, tmp_path):
    "As after a power cut: any length of either file."
    assert ended(fill(tmp_path, files[:12], steps))
    store, gen = Pack(tmp_path, steps).store.folder, random.Random(7)
    whole = {n: (store / n).read_bytes() for n in ('index.bin', 'data.bin')}
    for _ in range(25):
        for n, b in whole.items():
            (store / n).write_bytes(b[: gen.randrange(len(b) + 1)] if gen.random() < 0.7 else b)
        check(tmp_path, files[:12], steps, right)
        pack = Pack(tmp_path, steps, spare=0)
        for f in files[:12]: assert (pack(f) == right[f]).all()
        check(tmp_path, files[:12], steps, right, whole=True)


@pytest.mark.processes
def test_three_at_once(files, steps, right, tmp_path):
    assert ended(*[fill(tmp_path, files, steps) for _ in range(3)])
    check(tmp_path, files, steps, right, whole=True)
    store = Pack(tmp_path, steps).store
    # each once
    assert (
        len(store) == len(files)
        and os.path.getsize(store.folder / 'data.bin') == len(files) * 96 * 96 * 3)


def test_changed_while_read(steps, tmp_path):
    """Files that are written anew all the time, of the same size: what comes is what the file is
    before or after."""
    file = str(tmp_path / 'photo.bmp')
    pack = Pack(tmp_path / 'packs', steps, spare=0)
    other, settled = Pack(tmp_path / 'packs', steps, spare=0), 0
    for n in range(60):
        Image.new('RGB', (40, 40), (n, 2*n, 255 - n)).save(file)
        if n % 3 == 0: time.sleep(.06)
        for p in (pack, other, pack): assert (p(file) == (n, 2*n, 255 - n)).all()
        s = os.stat(file)
        settled += time.time_ns() - max(s.st_mtime_ns, s.st_ctime_ns) >= YOUNG
    # those of which another could not be told any more by its time, and no younger one
    assert 20 <= len(pack.store) <= settled


def test_full_disk(disk, files, steps, right, capfd):
    photos = ImageDataset(files, transform=training('v2', 96))
    with pytest.raises(
        BadInput, match='the disk has no room for a pack of 140 photographs at 96 px'):
        packed(photos, 'raw', 9, disk, spare=4 << 20)
    pack = Pack(disk, steps, spare=0)
    for f in files[:20]: pack(f)
    (disk / 'ballast').write_bytes(bytes(4_000_000 - 20*96*96*3 - 60_000))
    pack.store.room = lambda: 1 << 40          # the disk fills up between the question and the writing
    for f in files: assert (pack(f) == right[f]).all()
    assert capfd.readouterr().err.count('no room for more in the pack') == 1
    n = check(disk, files, steps, right)
    assert 20 <= n < 140
    (disk / 'ballast').unlink()
    pack = Pack(disk, steps, spare=0)
    for f in files: assert (pack(f) == right[f]).all()
    assert check(disk, files, steps, right) == 140


def test_read_only_folder(disk, files, steps, right):
    Pack(disk, steps, spare=0)(files[0])
    mount('-o', 'remount,ro', disk)
    pack = Pack(disk, steps, spare=0)
    for f in files[:3]: assert (pack(f) == right[f]).all()


@pytest.mark.parametrize('augment', ['v2', 'v1'])
@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.slow
def test_same_training(augment, workers, sample, tmp_path, monkeypatch, capsys):
    given = {
        **TINY, 'epochs': 2, 'augment': augment, 'workers': workers,
        'run': 'one', 'data': sample}
    plain = fit(**given, out=tmp_path / 'plain')
    assert 'not packed' in capsys.readouterr().out
    monkeypatch.setattr('rock_nb.speed.decoded_cache.LEAST', -1e9)
    with_pack = fit(**given, out=tmp_path / 'packed')
    assert 'packed while read' in capsys.readouterr().out
    for f in ('history', 'best', 'valid', 'test'):
        assert getattr(plain, f).read_bytes() == getattr(with_pack, f).read_bytes()


@pytest.mark.slow
def test_packed_from_the_middle(sample, tmp_path, monkeypatch):
    "A run that began without a pack goes on with one to the same bits."
    given = {
        **TINY, 'epochs': 3, 'augment': 'v2', 'workers': 0, 'run': 'one',
        'data': sample}
    whole = fit(**given, out=tmp_path / 'whole')
    def stop(history, classes): raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        fit(**given, out=tmp_path / 'halves', show=stop)
    monkeypatch.setattr('rock_nb.speed.decoded_cache.LEAST', -1e9)
    run = fit(**given, out=tmp_path / 'halves')
    assert run.done and len(Store(next((tmp_path / 'halves' / '.cache' / 'packs').iterdir())))
    for f in ('history', 'best', 'valid', 'test'):
        assert getattr(run, f).read_bytes() == getattr(whole, f).read_bytes()


def test_real_photographs(photos, tmp_path):
    "Odd formats, sides of 58 to 4,480 px: packed and unpacked are the same, bit for bit."
    files = sorted(map(str, (photos / 'images').glob('*/*')))[::60]
    for augment in ('v2', 'v1'):
        plain = ImageDataset(files, transform=training(augment, 224))
        kept, _ = packed(plain, 'raw', 9, tmp_path, spare=0)
        for epoch in (0, 1):
            for i in range(len(files)):
                assert (kept[SampleKey(i, epoch)][0] == plain[SampleKey(i, epoch)][0]).all(), files[
                    i]


def test_decoders_agree(photos):
    "The faster JPEG decoder gives Pillow's bytes."
    for f in sorted((photos / 'images').glob('*/*'))[::40]:
        with Image.open(f) as im:
            if im.format != 'JPEG' or im.mode != 'RGB' or im.getexif().get(0x0112, 1) != 1:
                continue
            # the profiles of some are converted otherwise
            assert (ImageReader(icc=False)(f) == np.asarray(im)).all(), f
