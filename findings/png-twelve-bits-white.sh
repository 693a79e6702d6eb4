#!/usr/bin/env bash
# White of a 12-bit picture is 65535 in a PNG, and 4095 in a TIFF
#
# Versions: pypng 0.20220715.0, Pillow 13.0.0, opencv-python-headless 5.0.0.93, NumPy 2.4.6, Python 3.11 or newer.
#
# Behaviour: PNG has no depth of 12 bits. An encoder that keeps to the standard stretches the samples linearly over 16 bits and
# notes in the chunk sBIT how many bits had a meaning. Pillow and OpenCV do not undo it
# and do not mention sBIT (Pillow's info is empty). pypng undoes it in asDirect() and does not in read(). TIFF has no
# such rule: 12-bit cameras put their counts into 16-bit samples as they are.
#
# Seen, for the counts 0, 1, 2048, 4095 of a 12-bit camera:
#   PNG : Pillow 0 16 32776 65535, OpenCV 0 16 32776 65535, pypng read 0 16 32776 65535, pypng asDirect 0 1 2048 4095
#   TIFF: Pillow 0 1 2048 4095, OpenCV 0 1 2048 4095
#
# The usual guess: "12 significant bits" means that one divides by 4095; or that lossless formats give the same numbers
# for the same picture.
#
# What it means: divided by 4095 the PNG's white is 16.0, not 1.0; divided by 65535 the TIFF is nearly black. A set in which
# some pictures were converted from one to the other has two brightnesses, and a model separates the rocks by the
# archive that they came from. Take the white from the container and the encoder, not from the number of significant bits,
# and look at the maximum over a whole camera before settling on it.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q pypng==0.20220715.0 pillow==13.0.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
venv/bin/python - <<'PY'
import cv2
import numpy as np
import png
from PIL import Image

counts, stretched = [0, 1, 2048, 4095], [0, 16, 32776, 65535]
with open('a.png', 'wb') as file:
    png.Writer(width=4, height=1, greyscale=True, bitdepth=12).write(file, [counts])
Image.fromarray(np.array([counts], 'u2')).save('a.tif')
with open('a.png', 'rb') as file:
    chunks = dict(png.Reader(file=file).chunks())
depth, significant = chunks[b'IHDR'][8], chunks[b'sBIT'][0]
print(f'PNG: stored depth {depth}, sBIT {significant}, Pillow info {Image.open("a.png").info}')
assert (depth, significant) == (16, 12) and not Image.open('a.png').info

seen = {}
for name in 'a.png', 'a.tif':
    seen[name, 'Pillow'] = np.asarray(Image.open(name))[0].tolist()
    seen[name, 'OpenCV'] = cv2.imread(name, cv2.IMREAD_UNCHANGED)[0].tolist()
seen['a.png', 'pypng read'] = [list(row) for row in png.Reader('a.png').read()[2]][0]
seen['a.png', 'pypng asDirect'] = [list(row) for row in png.Reader('a.png').asDirect()[2]][0]
for (name, reader), values in seen.items():
    print(f'{name} {reader}: {values}, white / 4095 = {values[-1] / 4095:.4g}, white / 65535 = {values[-1] / 65535:.4g}')
    assert values == (stretched if name == 'a.png' and reader != 'pypng asDirect' else counts)
print('as described: the same twelve bits have two whites')
PY
