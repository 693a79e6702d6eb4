#!/usr/bin/env bash
# Pillow scrambles an uncompressed TIFF whose Orientation is 5 to 8, but only if it is opened by its name
#
# Versions: Pillow 13.0.0 with NumPy 2.4.6, Python 3.11 or newer.
#
# Behaviour: a TIFF without compression in mode L, I;16 or RGBA, in one strip, with Orientation 5, 6, 7 or 8.
# Image.open(name) gives pixels in a wrong order, Image.open(io.BytesIO(bytes)) of the same bytes gives the
# right ones. With RGB, or with LZW, or with Orientation 1 to 4, both agree. There is no warning.
# The reason: the reader exchanges width and height as soon as it opens the file, because load() is going
# to turn the picture by itself. A file that has a name, a single raw tile and a mode that is kept in memory
# as it lies in the file is not decoded but mapped, and the map is laid out with the exchanged width as
# the length of a row. Rows are cut in the wrong places, and then the turn is done on top.
#
# Seen (30 x 20 pixels stored; "size" is width x height before and after load()):
#   L      raw  orientation 6: by name (20, 30) -> (30, 20) pixels wrong, from bytes (20, 30) -> (20, 30) pixels right
#   I;16   raw  orientation 6: the same
#   RGBA   raw  orientation 6: the same
#   RGB    raw  orientation 6: both right
#   L      lzw  orientation 6: both right
#   L      raw  orientation 3: both right
#
# The usual guess: a name and an open file are two ways to say the same thing, and whoever calls
# ImageOps.exif_transpose has dealt with orientation (here it does not help: the harm is done by then).
#
# What it means: greyscale, 16-bit and four-band pictures from scanners and microscopes are often TIFFs without
# compression. Those held upright reach the model as noise, with a label that is right. Hand Pillow an open
# file, or compare the size before load() with the size after it: for a mapped file of this kind they differ.
# Do not turn a TIFF a second time, either: load() has already done it and has dropped the tag.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q pillow==13.0.0 numpy==2.4.6
venv/bin/python - <<'PY'
import io
import numpy as np
from PIL import Image

TURNS = {1: 0, 3: 2, 6: -1, 8: 1}        # quarter turns against the clock that bring the picture upright


def read(source, upright):
    image = Image.open(source)
    before = image.size
    image.load()
    return before, image.size, np.array_equal(np.asarray(image), upright)


def case(mode, packed, orientation):
    shape = (20, 30) if mode in ('L', 'I;16') else (20, 30, len(mode))
    stored = np.arange(np.prod(shape)).reshape(shape).astype('u2' if mode == 'I;16' else 'u1')
    Image.fromarray(stored).save('a.tif', tiffinfo={274: orientation}, compression='tiff_lzw' if packed else None)
    upright = np.rot90(stored, TURNS[orientation])
    with open('a.tif', 'rb') as file:
        named, unnamed = read('a.tif', upright), read(io.BytesIO(file.read()), upright)
    text = [f'{a} -> {b} pixels {"right" if ok else "wrong"}' for a, b, ok in (named, unnamed)]
    print(f'{mode:5} {"lzw" if packed else "raw"} orientation {orientation}: by name {text[0]}, from bytes {text[1]}')
    assert unnamed[2], 'opened from bytes the picture was right'
    return named[2]


for mode in 'L', 'I;16', 'RGBA':
    for orientation in 6, 8:
        assert not case(mode, False, orientation), 'opened by name the picture was scrambled'
for right in ('RGB', False, 6), ('L', True, 6), ('L', False, 1), ('L', False, 3):
    assert case(*right), 'these were right in both ways'
print('as described: the name of the file decides whether the pixels are right')
PY
