#!/usr/bin/env bash
# One number in a TIFF decides whether a fourth band is dropped, divides the colours or multiplies them
#
# Versions: Pillow 13.0.0, opencv-python-headless 5.0.0.93, NumPy 2.4.6, Python 3.11 or newer.
#
# Behaviour: three files hold byte for byte the same samples, red 80, green 60, blue 20 and a fourth band of 100
# (besides a black pixel with a band of 0, and one with a band of 255), and are told apart by the tag ExtraSamples
# alone, all three values of which are in the TIFF 6 standard: 0 says nothing of the band, 1 says opacity with colours already
# multiplied, 2 says opacity with plain colours.
#   0: Pillow gives RGB and throws the band away; OpenCV keeps it (UNCHANGED)
#   1: Pillow divides the colours by the band; OpenCV leaves them alone
#   2: Pillow leaves them alone; OpenCV multiplies them by the band (so black comes out where it is 0), with
#      IMREAD_UNCHANGED and with IMREAD_COLOR, which then drops the band that would explain it
# The two libraries agree about the colours for the value 0 only. Pillow undoes the multiplication, OpenCV gets its
# pixels from libtiff's RGBA reader, which multiplies.
#
# Seen, for the samples (80, 60, 20, 100):
#   0: Pillow RGB  (80, 60, 20)        OpenCV colour (80, 60, 20)
#   1: Pillow RGBA (204, 153, 51, 100) OpenCV colour (80, 60, 20)
#   2: Pillow RGBA (80, 60, 20, 100)   OpenCV colour (31, 24, 8)
# Where the band is 255, all of them agree.
#
# The usual guess: a lossless file gives the numbers that are in it, at least the three colours, and convert('RGB')
# only leaves a band out.
#
# What it means: drones and multispectral cameras put near-infrared into the fourth band, and the tools that write the file
# differ in what they declare it to be. A model trained through one reader and used through the other then sees darker or
# washed-out rocks, and more so where there is little near-infrared (water, shadow). Look at tag 338 before the pixels,
# and split off the fourth band with a reader that does not interpret it.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q pillow==13.0.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
venv/bin/python - <<'PY'
import struct
import cv2
import numpy as np
from PIL import Image


def write(path, pixels, extra):
    """A little-endian TIFF in one strip: header, samples, directory, and the four sample depths after it."""
    height, width, bands = pixels.shape
    data = pixels.tobytes()
    tags = [(256, width), (257, height), (258, None), (259, 1), (262, 2), (273, 8), (277, bands), (278, height), (279, len(data)), (338, extra)]
    start = 8 + len(data)
    depths = start + 2 + 12 * len(tags) + 4
    with open(path, 'wb') as file:
        file.write(struct.pack('<2sHI', b'II', 42, start) + data + struct.pack('<H', len(tags)))
        for tag, value in tags:
            if value is None:
                file.write(struct.pack('<HHII', tag, 3, bands, depths))
            elif tag in (273, 279):
                file.write(struct.pack('<HHII', tag, 4, 1, value))
            else:
                file.write(struct.pack('<HHIHH', tag, 3, 1, value, 0))
        file.write(struct.pack('<I', 0) + struct.pack('<4H', *[8] * bands))


samples = np.empty((4, 4, 4), 'u1')
samples[...] = 80, 60, 20, 100
samples[0, 0] = 0, 0, 0, 0
samples[0, 1] = 60, 50, 40, 255
want = {0: ('RGB', [80, 60, 20], [80, 60, 20], 4),
        1: ('RGBA', [204, 153, 51, 100], [80, 60, 20], 4),
        2: ('RGBA', [80, 60, 20, 100], [31, 24, 8], 4)}
for extra, expected in want.items():
    write('a.tif', samples, extra)
    image = Image.open('a.tif')
    pillow = np.asarray(image)
    opencv = cv2.imread('a.tif', cv2.IMREAD_COLOR_RGB)
    bands = cv2.imread('a.tif', cv2.IMREAD_UNCHANGED).shape[2]
    got = image.mode, pillow[1, 1].tolist(), opencv[1, 1].tolist(), bands
    print(f'ExtraSamples {extra}: Pillow {got[0]} {got[1]}; OpenCV colour {got[2]}, number of bands unchanged {got[3]}')
    assert got == expected
    for reader in pillow, opencv:
        assert reader[0, 0, :3].tolist() == [0, 0, 0] and reader[0, 1, :3].tolist() == [60, 50, 40]
print('as described: equal samples, and the readers agree for one of three declarations')
PY
