#!/usr/bin/env bash
# timm's num_features is not the length of the features that a network without a classifier gives
#
# Versions: timm 1.0.31, torch 2.14.1, Python 3.11 or newer. (The install takes several GB and some minutes.)
#
# Behaviour: timm.create_model(name, num_classes=0) is the usual way to get features for a linear classifier, a nearest-neighbour
# search or several networks side by side, and model.num_features is read to size what comes after. In networks whose head has a layer
# of its own before the classifier (MobileNetV3, EfficientViT, VGG, MambaOut, HardCoRe-NAS, GhostNet …), num_features counts the channels of
# forward_features, and what comes out is head_hidden_size long. Where there is no such layer both are the same number, as in
# ResNet, ConvNeXt, ViT or EfficientNet, so code that was tried on these works until another name is given.
#
# Seen (num_features, head_hidden_size, length of the output with num_classes=0):
#   resnet18 512 512 512; tf_efficientnet_lite0 1280 1280 1280; vit_tiny_patch16_224 192 192 192
#   mobilenetv3_small_050 288 1024 1024; efficientvit_b0 128 1280 1280; vgg11_bn 512 4096 4096; mambaout_femto 288 1152 1152
#
# The usual guess: num_classes=0 takes away the head, and num_features is the length of what is left.
#
# What it means: take head_hidden_size, or run two images through the network on the meta device, which costs nothing; and to compare
# features of networks by their layer, ask forward_head(x, pre_logits=True) or forward_features, not both under one name.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q torch==2.14.1 timm==1.0.31
venv/bin/python - <<'PY'
import timm
import torch

expected = {
    'resnet18': (512, 512, 512), 'tf_efficientnet_lite0': (1280, 1280, 1280),
    'vit_tiny_patch16_224': (192, 192, 192), 'mobilenetv3_small_050': (288, 1024, 1024),
    'efficientvit_b0': (128, 1280, 1280), 'vgg11_bn': (512, 4096, 4096),
    'mambaout_femto': (288, 1152, 1152)}
for name, numbers in expected.items():
    with torch.device('meta'):
        model = timm.create_model(name, num_classes=0).eval()
        out = model(torch.empty(2, *model.pretrained_cfg['input_size'])).shape
    found = model.num_features, model.head_hidden_size, out[1]
    print(f'{name:24}', *found)
    assert found == numbers and len(out) == 2, (name, found)
print('as described: features are head_hidden_size long, not num_features')
PY
