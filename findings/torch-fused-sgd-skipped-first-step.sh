#!/usr/bin/env bash
# With fused=True, SGD's momentum begins with unwritten memory if the gradient scaler skips the first step
#
# Versions: torch 2.14.1, NumPy 2.4.6, Python 3.11 or newer, on the CPU. (The install takes several GB and some minutes.)
#
# Behaviour: torch.optim.SGD(momentum=0.9, fused=True) under torch.amp.GradScaler. A fused optimizer is not passed
# over by the scaler when a gradient is infinite: it is called with the finding, and its kernel does nothing. But the
# Python code before the kernel has made the momentum buffers by then, with empty_like, meaning that the kernel fills
# them in a first step, and it keeps them in the state. The next step finds buffers, takes itself for a later one, and
# adds the gradient to 0.9 times what happened to lie in memory. Without fused the skipped step leaves no state, and
# all is right. The script makes the memory's content visible by a setting that torch has for the purpose: with
# deterministic algorithms new memory is filled with NaN. Without the setting it is whatever the memory held before:
# zeros when it is fresh, other tensors when not.
#
# Seen (three weights at 1, gradient 1, learning rate 0.1; the gradient of the first of three steps is infinite):
#   fused=False: after the skipped step no buffer; at the end buffer 1.9, weights 0.71
#   fused=True : after the skipped step a buffer of NaN; at the end buffer NaN, weights NaN
#   fused=True, first step finite and the second skipped: as without fused
#
# The usual guess: fused is the same arithmetic in one kernel, and a skipped step has no effect.
#
# What it means: the scaler starts at 65536, and overflow in the very first steps is its normal way to find the
# scale. So this is a common start of a training run in float16 and not a rare case, and what follows depends on the memory: a
# clean start, a first update by foreign numbers that nothing reports, or NaN from the second step on.
# Leave SGD unfused, or begin with a scale that does not overflow (init_scale), or clear optimizer.state
# after steps that the scaler skipped before the first real one.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q torch==2.14.1 numpy==2.4.6
venv/bin/python - <<'PY'
import torch

torch.use_deterministic_algorithms(True)
torch.utils.deterministic.fill_uninitialized_memory = True      # the default, written out: new memory holds NaN


def train(fused, factors, cure=False):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9, fused=fused)
    scaler = torch.amp.GradScaler('cpu')
    buffers = []
    for factor in factors:
        optimizer.zero_grad()
        scaler.scale(weight.sum() * factor).backward()
        scaler.step(optimizer)
        scaler.update()
        buffer = optimizer.state[weight].get('momentum_buffer')
        buffers.append(None if buffer is None else [round(v, 4) for v in buffer.tolist()])
        if cure and factor == float('inf'):
            optimizer.state.clear()
    print(f'fused={fused!s:5} factors of the loss {factors} cleared={cure}: buffers {buffers}, weights {weight.tolist()}')
    return buffers, weight.detach()


late, early = (1.0, float('inf'), 1.0), (float('inf'), 1.0, 1.0)
right = torch.full((3,), 0.71)
buffers, weight = train(False, early)
assert buffers[0] is None and torch.allclose(weight, right)
buffers, weight = train(True, early)
assert buffers[0] is not None and weight.isnan().all()
assert torch.allclose(train(True, early, cure=True)[1], right)
assert torch.allclose(train(True, late)[1], right) and torch.allclose(train(False, late)[1], right)
print('as described: a step that was skipped decides about the next')
PY
