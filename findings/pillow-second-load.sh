#!/usr/bin/env bash
# A broken PNG raises at the first access only: at the second, Pillow gives a picture whose lower part is black
#
# Versions: Pillow 13.0.0 with NumPy 2.4.6, Python 3.11 or newer.
#
# Behaviour: in a PNG some bytes of the packed pixels were lost. The first load() raises OSError. Any second access
# of the same object, load(), np.asarray() or convert(), raises nothing: it gives a picture of the right size, with
# the rows up to the broken place and zeros below them. getexif() of a PNG is such a first access, since the
# orientation may stand behind the pixels: whoever asks for it first and passes over what it raises has the picture
# with the zeros in hand. A JPEG that was cut off raises each time.
# The reason: the decoder reports a broken stream after it has been run, and by then the list of what is still to be
# read has been emptied; with an empty list load() is taken for done. Where the data end too early it is raised from
# within the loop, before the list is emptied.
#
# Seen (60 x 40 pixels of noise, no pixel black):
#   PNG, bytes lost:       first access OSError, second access: the picture, some of the rows black
#   JPEG, cut off:        first access OSError, second access OSError
#
# The usual guess: a file that is broken raises until it is mended, so that a second try, or EXIF in a try of its own,
# does no harm.
#
# What it means: a loader that tries again (or one function that asks for the orientation and passes over errors, and
# another one that reads the pixels) trains on pictures that are half black. Open the file anew for a second try, and
# call load() before anything else may.
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

noise = np.random.default_rng(0).integers(1, 5, (40, 60, 3), dtype=np.uint8)*60


def saved(form):
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, form)
    return buffer.getvalue()


def accesses(data, first):
    image, said = Image.open(io.BytesIO(data)), []
    for access in (first, np.asarray):
        try:
            found = access(image)
            said.append('the picture' if access is np.asarray else 'nothing raised')
        except OSError:
            found, _ = None, said.append('OSError')
    return said, found


png = bytearray(saved('PNG'))
at = png.index(b'IDAT') + 4 + 700
png[at:at + 40] = bytes(40)      # as a disk leaves a lost sector
for name, first in (('load', Image.Image.load), ('getexif', Image.Image.getexif)):
    said, found = accesses(bytes(png), lambda im, name=name: getattr(im, name)())
    black = int((found == 0).all((1, 2)).sum()) if found is not None else 0
    print(f'PNG, bytes lost: {name} {said[0]}, then {said[1]}, {black} of 40 rows black')
    assert said == ['OSError', 'the picture'] and 0 < black < 40
jpeg = saved('JPEG')
said, _ = accesses(jpeg[:len(jpeg)//2], lambda im: im.load())
print(f'JPEG, cut off: {said[0]}, then {said[1]}')
assert said == ['OSError', 'OSError']
print('as described: a broken PNG raises once, then it is a picture')
PY
