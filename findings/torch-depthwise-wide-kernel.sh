#!/usr/bin/env bash
# On a processor torch learns a depthwise kernel of 5 rows and 3 columns ten times as fast as one of 3 rows and 5 columns
#
# Versions: torch 2.14.1 (oneDNN inside), x86 processors with AVX-512; channels_last, as the documentation recommends.
#
# Behaviour: oneDNN has fast code for the gradient of depthwise weights if the kernel is at most three columns wide; how many rows
# it has doesn't matter. Everything wider goes another way, a fraction as fast. So a 5x5 kernel, as EfficientNet and
# MobileNet have in half of their blocks (7x7 in ConvNeXt), takes most of a training step, while its forward pass and the gradient
# of its input cost what one expects. Padding counts as well: more columns of it than half the kernel's width, and a narrow kernel is
# slow, too. So is any kernel with more rows than its input has, as in the last stages of a network that is shown small images: 3x3 on
# two rows takes longer than on four. In bfloat16 the slow way is slower still, than float32 even. Nothing is said, and results are
# right.
#
# Output seen (two cores with AVX-512 and bfloat16; milliseconds for 32 x 672 x 12 x 12): float32: 3 rows 5 columns 7.5, 5 rows 3
# columns 0.9, 5 and 5 at once 12.0, in two pieces 3.9; bfloat16: 37.4, 1.2, 56.1, in two pieces 3.3. 3x3 on inputs of 2, 3 and 4
# rows and columns: 0.70, 0.07 and 0.09, in bfloat16 3.7, 0.08 and 0.10.
#
# The usual guess: cost goes with the number of taps, so 3x5 and 5x3 are the same and 5x5 is 25/9 of 3x3; bfloat16 is no slower.
#
# What it means: a wide depthwise kernel's weight gradient is sooner put together from pieces of three columns, each with the part of
# the input that it sees (padded beforehand: the pieces themselves have no padding at the sides), and the rows above and below an input
# that is lower than the kernel are sooner put there by hand.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q torch==2.14.1 numpy
cat > wide.py <<'PY'
import time
import torch
from torch.nn import functional as F

CHANNELS, SIDE = 672, 12


def weight_gradient(x, g, kernel, padding):
    w = torch.empty(CHANNELS, 1, *kernel, dtype=x.dtype)
    return torch.ops.aten.convolution_backward(
        g, x, w, None, [1, 1], padding, [1, 1], False, [0, 0], CHANNELS, [False, True, False])[1]


def in_pieces(x, g):
    "Of a 5x5 kernel with padding 2: columns 0 to 2, and 3 to 4."
    padded = F.pad(x, (2, 2))
    first, second = padded[..., :SIDE + 2], padded[..., 3:]
    return torch.cat([
        weight_gradient(first.contiguous(memory_format=torch.channels_last), g, (5, 3), (2, 0)),
        weight_gradient(second.contiguous(memory_format=torch.channels_last), g, (5, 2), (2, 0))], 3)


def milliseconds(f, rounds=9):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return min(times)*1e3


def of_size(side, dtype):
    "Milliseconds of a 3x3 kernel on a square input."
    x, g = (
        torch.randn(32, CHANNELS, side, side).to(dtype).to(memory_format=torch.channels_last) for _ in range(2))
    return milliseconds(lambda: weight_gradient(x, g, (3, 3), (1, 1)))


torch.manual_seed(0)
for dtype in torch.float32, torch.bfloat16:
    x, g = (
        torch.randn(32, CHANNELS, SIDE, SIDE).to(dtype).to(memory_format=torch.channels_last) for _ in range(2))
    took = {
        f'{rows} rows {columns} columns': milliseconds(
            lambda: weight_gradient(x, g, (rows, columns), (rows//2, columns//2)))
        for rows, columns in ((3, 3), (5, 3), (3, 5), (5, 5))}
    took['5 rows 5 columns in two pieces'] = milliseconds(lambda: in_pieces(x, g))
    print(str(dtype), {k: round(v, 1) for k, v in took.items()})
    whole, pieces = weight_gradient(x, g, (5, 5), (2, 2)), in_pieces(x, g)
    assert (whole - pieces).norm() < .01*whole.norm()
    assert took['3 rows 5 columns'] > 4*took['5 rows 3 columns']
    assert took['5 rows 5 columns'] > 1.5*took['5 rows 5 columns in two pieces']
    low = {side: of_size(side, dtype) for side in (2, 3, 4)}
    print('3 rows 3 columns, by the side of the input', {k: round(v, 2) for k, v in low.items()})
    assert low[2] > 2*low[4]
print('as described: columns beyond the third cost, rows do not, unless the input has fewer')
PY
venv/bin/python wide.py
