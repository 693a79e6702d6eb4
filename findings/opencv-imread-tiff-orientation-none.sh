#!/usr/bin/env bash
# OpenCV's imread gives None for every TIFF with Orientation 5 to 8, while imdecode reads the same bytes
#
# Versions: opencv-python-headless 5.0.0.93, Pillow 13.0.0 (as the writer), NumPy 2.4.6, Python 3.11 or newer.
#
# Behaviour: a TIFF (grey, RGB or RGBA; 8 or 16 bits; with and without compression) whose Orientation
# exchanges rows and columns cannot be read with imread: it writes a complaint about a moved buffer to stderr
# and returns None. IMREAD_UNCHANGED and IMREAD_IGNORE_ORIENTATION do not help, because the TIFF decoder
# turns the picture itself whatever the flags say. imdecode and imreadmulti of the same file return the
# turned picture. The reason: imread allocates the result for the stored size, and checks that the decoder
# has left it in its place; turning by a quarter has to put it in a new one. With Orientation 1 to 4 all three agree.
#
# Seen (30 x 20 pixels stored):
#   orientation 1..4: imread (20, 30, 3), imdecode (20, 30, 3), imreadmulti (20, 30, 3)
#   orientation 5..8: imread None,        imdecode (30, 20, 3), imreadmulti (30, 20, 3)
#   orientation 6, imread with UNCHANGED: None; with COLOR | IGNORE_ORIENTATION: None
#
# The usual guess: None from imread means that the file is missing or broken, and a flag that says
# "ignore the orientation" gives at least the stored pixels.
#
# What it means: the pictures that a data loader drops as unreadable are not a random part of the set, but all
# that were taken with the camera held upright, which may well be those of one collector or one outcrop.
# Read the bytes and use imdecode. And do not count on IGNORE_ORIENTATION to keep a TIFF as it is stored, though
# it does so for JPEG.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q opencv-python-headless==5.0.0.93 pillow==13.0.0 numpy==2.4.6
export OPENCV_LOG_LEVEL=SILENT
venv/bin/python - <<'PY'
import cv2
import numpy as np
from PIL import Image

grey = np.tile(np.arange(30, dtype='u1') * 8, (20, 1))
pictures = {'grey': grey, 'grey16': grey.astype('u2') * 257, 'rgb': np.dstack([grey] * 3), 'rgba': np.dstack([grey] * 4)}


def shape(pixels):
    return None if pixels is None else pixels.shape


for orientation in range(1, 9):
    seen = set()
    for name, pixels in pictures.items():
        for compression in None, 'tiff_lzw':
            Image.fromarray(pixels).save('a.tif', tiffinfo={274: orientation}, compression=compression)
            _, pages = cv2.imreadmulti('a.tif')
            seen.add((shape(cv2.imread('a.tif')), shape(cv2.imdecode(np.fromfile('a.tif', 'u1'), cv2.IMREAD_COLOR)), shape(pages[0])))
    print(f'orientation {orientation}: imread, imdecode, imreadmulti', seen)
    assert seen == ({((20, 30, 3),) * 3} if orientation < 5 else {(None, (30, 20, 3), (30, 20, 3))})

Image.fromarray(pictures['rgb']).save('a.tif', tiffinfo={274: 6})
exif = Image.Exif()
exif[274] = 6
Image.fromarray(pictures['rgb']).save('a.jpg', exif=exif)
for label, flags in ('UNCHANGED', cv2.IMREAD_UNCHANGED), ('COLOR | IGNORE_ORIENTATION', cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION):
    tiff, decoded, jpeg = cv2.imread('a.tif', flags), cv2.imdecode(np.fromfile('a.tif', 'u1'), flags), cv2.imread('a.jpg', flags)
    print(f'orientation 6, {label}: imread of TIFF {shape(tiff)}, imdecode of TIFF {shape(decoded)}, imread of JPEG {shape(jpeg)}')
    assert tiff is None and decoded.shape[:2] == (30, 20) and jpeg.shape[:2] == (20, 30)
print('as described: imread refuses TIFFs that need a quarter turn')
PY
