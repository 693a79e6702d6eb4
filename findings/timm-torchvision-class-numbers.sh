#!/usr/bin/env bash
# timm and torchvision number the classes of one folder differently
#
# Versions: timm 1.0.31, torchvision 0.29.1, torch 2.14.1, Pillow 13.0.0, Python 3.11 or newer.
# (The install takes several GB and some minutes.)
#
# Behaviour: timm.data.ImageDataset and torchvision.datasets.ImageFolder both read folder-per-class sets and number the classes in
# order of name, but not in the same order. torchvision compares the characters as they are: capitals come before small letters and
# 10 before 2. timm compares in small letters and takes runs of digits as numbers. Besides, timm takes only .png, .jpg and .jpeg: a class
# that has nothing but TIFF or WebP is not among its classes, without a word, and all later numbers move down by one.
# A folder without any picture stops torchvision with an error and is equally passed over by timm.
#
# Seen:
#   torchvision: 10_granite 0, 2_gneiss 1, Basalt 2, andesite 3, tuff 4
#   timm       : 2_gneiss 0, 10_granite 1, andesite 2, Basalt 3, tuff 4
#   with andesite as TIFF, torchvision: the same as before; timm: 2_gneiss 0, 10_granite 1, Basalt 2, tuff 3
#
# The usual guess: "sorted by folder name" is one order, and libraries that are used together agree about it.
#
# What it means: a network fine-tuned with timm's loader and evaluated through ImageFolder (or the other way about) confuses
# neighbouring classes completely, while those whose place is the same look perfect; the confusion matrix has its full cells beside the
# diagonal and seems to tell of rocks that are alike. Keep the list of names with the weights, and hand it over (class_map in
# timm, find_classes in torchvision) instead of letting each loader number anew. Compare the number of pictures per class, too.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q torch==2.14.1 torchvision==0.29.1 timm==1.0.31 pillow==13.0.0
export HF_HUB_OFFLINE=1
venv/bin/python - <<'PY'
from pathlib import Path
from PIL import Image
from timm.data import ImageDataset
from torchvision.datasets import ImageFolder


def both(root, tiff=()):
    for name in 'Basalt', 'andesite', '10_granite', '2_gneiss', 'tuff':
        folder = Path(root, name)
        folder.mkdir(parents=True)
        Image.new('RGB', (8, 8)).save(folder / ('a.tif' if name in tiff else 'a.png'))
    numbers = ImageFolder(root).class_to_idx, ImageDataset(root).reader.class_to_idx
    for library, found in zip(('torchvision', 'timm'), numbers):
        print(f'{root:10} {library:11}', found)
    return [list(found) for found in numbers]


vision, timm = both('png')
assert vision == ['10_granite', '2_gneiss', 'Basalt', 'andesite', 'tuff']
assert timm == ['2_gneiss', '10_granite', 'andesite', 'Basalt', 'tuff']
same = [name for name in vision if vision.index(name) == timm.index(name)]
print('numbered alike:', same)
assert same == ['tuff']
again, fewer = both('one_tiff', tiff=['andesite'])
assert again == vision and fewer == ['2_gneiss', '10_granite', 'Basalt', 'tuff']

Path('one_tiff', 'zeolite').mkdir()
assert list(ImageDataset('one_tiff').reader.class_to_idx) == fewer
try:
    ImageFolder('one_tiff')
except FileNotFoundError as error:
    print('torchvision on a folder without pictures:', str(error).splitlines()[0])
else:
    raise SystemExit('torchvision used to refuse a folder without pictures')
print('as described: one folder, two numberings')
PY
