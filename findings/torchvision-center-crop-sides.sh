#!/usr/bin/env bash
# torchvision's centre crop lies now left, now right of the middle, by turns
#
# Versions: torchvision 0.29.1, torch 2.14.1, timm 1.0.31, albumentations 2.0.8, Pillow 13.0.0, Python 3.11 or newer.
# (The install takes several GB and some minutes.)
#
# Behaviour: of an image that is an odd number of pixels larger than the crop, one pixel more must go on one side. torchvision's
# CenterCrop takes int(round(margin/2)) from the left and from above, and Python rounds halves to the even number:
# of margins 1, 3, 5, 7 it takes 0, 2, 2, 4. So the crop lies left of the middle, then right, then left … An image that is two
# pixels wider is cut two pixels further in, or at the same place. The evaluation transform of timm (crop_mode 'center', and
# its CenterCropOrPad) does the same. albumentations and most hand-written code take margin // 2: 0, 1, 2, 3.
#
# Seen (margin, pixels taken on the left by torchvision, timm's CenterCropOrPad, albumentations):
#   0 0 0 0; 1 0 0 0; 2 1 1 1; 3 2 2 1; 4 2 2 2; 5 2 2 2; 6 3 3 3; 7 4 4 3; 8 4 4 4
#
# The usual guess: a centre crop is a centre crop, whichever library cuts it, up to one side for odd margins.
#
# What it means: a network that was evaluated with one library and is served with another sees half of its odd-sized images shifted by a
# pixel, which is nothing to a photograph and everything to a test that wants equal pixels. Compare such pipelines on even margins,
# or cut by hand; and do not blame the interpolation for the difference.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q torch==2.14.1 torchvision==0.29.1 timm==1.0.31 albumentations==2.0.8 pillow==13.0.0
export NO_ALBUMENTATIONS_UPDATE=1 HF_HUB_OFFLINE=1
venv/bin/python - <<'PY'
import albumentations as A
import numpy as np
from PIL import Image
from timm.data.transforms import CenterCropOrPad
from torchvision.transforms import CenterCrop

side, found = 8, []
for margin in range(9):
    row = np.arange(side + margin, dtype=np.uint8)
    image = np.broadcast_to(row[None, :, None], (side, side + margin, 3)).copy()
    first = lambda crop: int(np.asarray(crop)[0, 0, 0])
    found.append((
        margin, first(CenterCrop(side)(Image.fromarray(image))),
        first(CenterCropOrPad(side)(Image.fromarray(image))),
        first(A.CenterCrop(side, side)(image=image)['image'])))
    print(*found[-1])
expected = [(0, 0, 0, 0), (1, 0, 0, 0), (2, 1, 1, 1), (3, 2, 2, 1), (4, 2, 2, 2), (5, 2, 2, 2), (6, 3, 3, 3), (7, 4, 4, 3), (8, 4, 4, 4)]
assert found == expected, found
print('as described: odd margins go left and right by turns')
PY
