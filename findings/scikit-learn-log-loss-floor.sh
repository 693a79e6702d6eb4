#!/usr/bin/env bash
# scikit-learn's log_loss lets a half-precision model off: a certain mistake costs 6.9 instead of 36
#
# Versions: scikit-learn 1.9.1, NumPy 2.4.6, Python 3.11 or newer.
#
# Behaviour: log_loss keeps the probabilities away from 0 and 1 by the machine epsilon of the type in which they come.
# The smaller the type, the cheaper the worst mistake: 36.04 in float64, 15.94 in float32, 6.93 in float16. A list of
# numbers counts as float64. And not only the ends: every probability under the epsilon is raised, so in
# float16 a mistake at 0.0001, which the type can hold well enough, costs 6.9 instead of 9.2. There is no warning.
#
# Seen:
#   float64: certain and wrong 36.04; float32: 15.94; float16: 6.93
#   careful model (1 in 10 wrong, right class at 0.0001) in float64: 0.94; the same numbers in float16: 0.71
#   reckless model (the same ones wrong, right class at 0) in float64: 3.60; in float16: 0.69
#
# The usual guess: half precision costs a few digits of the score; the clip is a fixed 1e-15, as it was
# before scikit-learn 1.2, and serves only to keep out infinity.
#
# What it means: two networks that are evaluated under different settings of mixed precision, or one of which had its
# probabilities turned to float64 on the way, cannot be compared by log loss: here the reckless model wins over the
# careful one in half precision, and loses by far in full. Convert to float64 before the softmax, and always before the score.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q scikit-learn==1.9.1 numpy==2.4.6
venv/bin/python - <<'PY'
import numpy as np
from sklearn.metrics import log_loss

floors = {}
for kind in 'float64', 'float32', 'float16':
    floors[kind] = float(log_loss([1], np.array([[1, 0]], kind), labels=[0, 1]))
    print(f'{kind}: certain and wrong costs {floors[kind]:.2f}, epsilon {np.finfo(kind).eps:.3g}')
assert [round(v, 2) for v in floors.values()] == [36.04, 15.94, 6.93]

truth = np.array([0] * 10)
careful = np.array([[.98, .02]] * 9 + [[.0001, .9999]])     # sure of itself in the mistake, but not quite
reckless = np.array([[1., 0.]] * 9 + [[0., 1.]])           # the same answers, all of them certain
score = {}
for name, probabilities in ('careful', careful), ('reckless', reckless):
    for kind in 'float64', 'float16':
        score[name, kind] = float(log_loss(truth, probabilities.astype(kind), labels=[0, 1]))
        print(f'{name} in {kind}: {score[name, kind]:.2f}')
assert score['careful', 'float64'] < score['reckless', 'float64']
assert score['careful', 'float16'] > score['reckless', 'float16']
print('as described: the type of the numbers decides which model is better')
PY
