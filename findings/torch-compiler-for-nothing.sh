#!/usr/bin/env bash
# torch's compiler is imported by programs that compile nothing: by torchvision, by an optimizer's first step, by turning determinism *off*
#
# Versions: torch 2.14.1, torchvision 0.29.1, Python 3.11 or newer. (The install takes several GB and some minutes.)
#
# Behaviour: `import torch` leaves torch._dynamo alone (it is an attribute that is loaded when asked for). But each of these loads all of
# it, some hundred modules with sympy and torch.distributed.tensor behind them, a second and more of a processor:
#   import torchvision                              ops/roi_align takes one function of it, which processors never call; timm imports
#                                                   torchvision
#   optimizer.step(), of any optimizer of torch     tells a compiler that there may be one (as does its first add_param_group)
#   torch.use_deterministic_algorithms(False)       also to say that everything may stay as it is: it imports torch._inductor.config to
#                                                   tell the compiler
# torch.set_deterministic_debug_mode('warn') sets the same flags of the same kernels and loads nothing.
#
# Output seen: modules of torch._dynamo after importing torch: 0; torchvision: 95; a step: 95; use_deterministic_algorithms: 95;
# set_deterministic_debug_mode: 0, and no sympy. (The numbers are of this version.)
#
# The usual guess: what costs a second at the start of a training program is torch itself and its libraries; who doesn't call torch.compile
# doesn't load it.
#
# What it means: a command that only predicts, or prints a help text, gains a second by importing torchvision and timm late, or with
# something light in torch._dynamo's place in sys.modules while they are imported; workers of a queue, one process a job, gain it each.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q torch==2.14.1 torchvision==0.29.1 numpy
count() {
    venv/bin/python - "$1" <<'PY'
import sys
import torch
exec(sys.argv[1])
print(sum(m.startswith('torch._dynamo') for m in sys.modules), 'sympy' in sys.modules)
PY
}
alone=$(count 'pass')
debug=$(count 'torch.set_deterministic_debug_mode("warn"); assert torch.are_deterministic_algorithms_enabled()')
vision=$(count 'import torchvision')
step=$(count 'w = torch.nn.Parameter(torch.ones(1)); w.grad = torch.ones(1); torch.optim.SGD([w], lr=.1).step()')
off=$(count 'torch.use_deterministic_algorithms(False)')
echo "modules of torch._dynamo, and whether sympy is there: torch: $alone; set_deterministic_debug_mode: $debug;"
echo "import torchvision: $vision; a step of SGD: $step; use_deterministic_algorithms(False): $off"
for found in "$alone" "$debug"; do
    [ "$found" = "0 False" ] || exit 1
done
for found in "$vision" "$step" "$off"; do
    if [ "${found% *}" -lt 50 ] || [ "${found#* }" != True ]; then exit 1; fi
done
echo "as described: three lines that compile nothing load the compiler"
