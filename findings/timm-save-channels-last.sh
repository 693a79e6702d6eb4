#!/usr/bin/env bash
# timm writes no safetensors of a network that lies channels-last in memory
#
# Versions: timm 1.0.31, torch 2.14.1, safetensors 0.8.0, huggingface_hub 2.4.0, Python 3.11 or newer.
# (The install takes several GB and some minutes.)
#
# Behaviour: model.to(memory_format=torch.channels_last) is what makes convolutions fast on processors and GPUs; it changes no value and
# no name, and state_dict() looks as before. timm.models.save_for_hf and push_to_hf_hub hand that state_dict to
# safetensors.torch.save_file, which takes contiguous tensors only: the first convolution ends in "You are trying to save a non contiguous
# tensor". That is the ValueError of push_to_hf_hub's default (safe_serialization='both') at the end of a training, after the repository was
# made. With pickles (safe_serialization=False, the default of save_for_hf) it works, and the order in memory goes along.
#
# Beside it: the same weights give other last digits in the other order, for sums are taken in another order. So a folder
# that was written contiguous answers bit for bit like the network before only after .to(memory_format=torch.channels_last).
#
# The usual guess: the memory format is a matter of speed; files and answers know nothing of it.
#
# What it means: give save_for_hf a network of .to(memory_format=torch.contiguous_format) (or clone each tensor so), and compare
# a loaded network with the one before in the same memory format, or with a tolerance.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q torch==2.14.1 timm==1.0.31 safetensors==0.8.0 huggingface_hub==2.4.0
export HF_HUB_OFFLINE=1
venv/bin/python - <<'PY'
import timm
import torch
from timm.models import save_for_hf

torch.manual_seed(0)
model = timm.create_model('resnet18', num_classes=3).eval()
x = torch.randn(2, 3, 96, 96)
with torch.inference_mode(): plain = model(x)

model = model.to(memory_format=torch.channels_last)
try:
    save_for_hf(model, 'folder', safe_serialization=True)
except ValueError as error:
    print('channels last:', str(error).splitlines()[0])
    assert 'non contiguous' in str(error)
else:
    raise SystemExit('channels-last networks used to be refused')
save_for_hf(model, 'pickle', safe_serialization=False)
state = torch.load('pickle/pytorch_model.bin', weights_only=True)
assert not state['conv1.weight'].is_contiguous()

save_for_hf(model.to(memory_format=torch.contiguous_format), 'folder', safe_serialization=True)
loaded = timm.create_model('local-dir:folder', pretrained=True).eval()
with torch.inference_mode():
    assert torch.equal(loaded(x), plain)
    other = loaded.to(memory_format=torch.channels_last)(x)
difference = float((other - plain).abs().max())
print(f'the same weights in the other order: {difference:.1e}')
assert 0 < difference < 1e-4
print('as described: refused, and not the same bits')
PY
