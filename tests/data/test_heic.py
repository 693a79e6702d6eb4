"""Photographs of phones: HEIC in class folders and under lying endings, and what is said where no decoder is installed."""
import io
import struct
import subprocess
import sys

import pytest
from PIL import Image, TiffImagePlugin

from conftest import ROOT
from heic import HELD
from rock_nb.data.audit import inspect_file, readable
from rock_nb.data.image import ImageReader, read_image
from rock_nb.data.table import read_data

# in a process that has no decoder; each line that is printed is a sentence
WITHOUT = """
import sys
sys.modules['pi_heif'] = None
from rock_nb.core import BadInput
from rock_nb.data.audit import readable
from rock_nb.data.image import read_image
from rock_nb.data.image_lists import find_images
from rock_nb.data.table import read_data
folder, lying, out = sys.argv[1:]
print(*find_images(folder))
for ask in (lambda: read_data(folder), lambda: read_image(find_images(folder)[0]),
            lambda: readable(read_data(lying), out=out)):
    try: ask()
    except BadInput as e: print(e)
"""


@pytest.fixture
def phone(tmp_path):
    for f in ('Granite/IMG_1.HEIC', 'Basalt/IMG_2.heic'):
        (tmp_path / 'phone' / f).parent.mkdir(parents=True)
        (tmp_path / 'phone' / f).write_bytes(HELD)
    return tmp_path / 'phone'


def lying(phone):
    "The same under an ending that lies, as some programs send them."
    folder = phone.parent / 'lying'
    for f in ('Granite/1.jpg', 'Basalt/2.jpg'):
        (folder / f).parent.mkdir(parents=True)
        (folder / f).write_bytes(HELD)
    return folder


def test_without_a_decoder_it_is_said_and_once_there_is_one_they_are_read(phone):
    folder, out = lying(phone), phone.parent / 'out'
    done = subprocess.run(
        [sys.executable, '-c', WITHOUT, phone, folder, out], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found, table, one, lies = done.stdout.splitlines()
    assert 'IMG_2.heic' in found and 'IMG_1.HEIC' in found
    assert '(2 .heic cannot be read: pip install pi-heif, or convert them)' in table
    assert 'IMG_2.heic cannot be read (HEIC: pip install pi-heif' in one
    assert '2.jpg cannot be read (HEIC: pip install pi-heif' in lies
    # what was remembered without one is not believed
    for data in (phone, folder): assert len(readable(read_data(data), out=out)[1]) == 0
    image = read_image(phone / 'Granite' / 'IMG_1.HEIC')
    assert image.shape == (48, 32, 3)
    assert image[5, 16, 0] > 150 > image[42, 16, 0] and image[42, 16, 2] > 150


def test_damaged_ones_and_those_of_cameras_are_named(phone, sample):
    (phone / 'Granite' / 'IMG_1.HEIC').write_bytes(HELD[:300])
    with pytest.raises(ValueError, match='cannot be read .a damaged HEIC.'):
        ImageReader()(phone / 'Granite' / 'IMG_1.HEIC')
    # a file of a camera begins like a TIFF, and decoders find the thumbnail in it
    thumbnail = next((sample / 'test').glob('*.jpg')).read_bytes()
    (phone / 'DSC_1.NEF').write_bytes(thumbnail)
    with pytest.raises(ValueError, match='RAW of a camera: convert it'):
        ImageReader()(phone / 'DSC_1.NEF')


def tiff(*directories: dict, start: bytes = b'II*\0\x08\0\0\0') -> bytes:
    "Directories of numbers one after another, the second one as a part of the first."
    held = bytearray(start)
    for n, tags in enumerate(directories):
        size = 2 + 12*(len(tags) + (n == 0 and len(directories) > 1)) + 4
        if n == 0 and len(directories) > 1: tags = tags | {330: len(held) + size}
        rows = [struct.pack('<HHII', tag, 4, 1, value) for tag, value in sorted(tags.items())]
        held += struct.pack('<H', len(rows)) + b''.join(rows) + bytes(4)
    return bytes(held)


THUMBNAIL = {254: 1, 256: 40, 257: 40, 262: 2}

@pytest.mark.parametrize('held', [
    tiff(THUMBNAIL | {50706: 0x00000401}), tiff(THUMBNAIL | {262: 32803}), tiff(THUMBNAIL, {254: 0, 262: 32803}),
    tiff(THUMBNAIL, start=b'II*\0\x10\0\0\0CR\2\0\0\0\0\0')], ids=['dng', 'sensor', 'nef', 'cr2'])
def test_raw_files_are_known_by_what_they_hold(held, tmp_path):
    "A RAW file that is called .tif, or has no name at all, is not answered from its thumbnail."
    (tmp_path / 'a.tif').write_bytes(held)
    for file in (tmp_path / 'a.tif', io.BytesIO(held)):
        with pytest.raises(ValueError, match='RAW of a camera: convert it'): ImageReader()(file)
    assert 'RAW of a camera' in inspect_file(tmp_path / 'a.tif')['error']
