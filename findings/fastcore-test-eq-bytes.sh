#!/usr/bin/env bash
# fastcore's test_eq compares bytes one number at a time: a million of them take seconds
#
# Versions: fastcore 1.14.5 (its newest at the time; nbdev 2.4.14 brings it), Python 3.11 or newer.
#
# Behaviour: test_eq(a, b) asks fastcore.imports.equals, which compares strings, dictionaries and sets with ==, but takes bytes for
# something to go through: each pair of numbers is handed to equals again, which looks for array types by name, tries isinstance
# against typing's Iterable and so on. Nothing is said; the answer is right. bytearray and memoryview alike, and bytes inside of lists.
# A difference in length is found last, since the shorter one is filled up.
#
# Seen (102,400 equal bytes, CPU seconds; machines differ, the ratios hardly do):
#   a == b                          .000001
#   test_eq(a, b)                   .72
#   half as many                    .34
#   bytearray, in a list, longer    .70
#   as text                         .0005
#
# The usual guess: it calls ==, as its name says, and comparing two files costs what reading them costs.
#
# What it means: a notebook that shows that two weight files, images or archives are the same spends its time there: a test
# of a resumed training, with 1.5 MB of weights twice, took 28 s, of which 26 were this. assert a == b, or a digest of each, costs nothing.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q fastcore==1.14.5
venv/bin/python - <<'PY'
import time

from fastcore.test import test_eq, test_fail


def seconds(do):
    start = time.process_time()
    do()
    return time.process_time() - start


a = bytes(range(256)) * 400          # 102,400
b = bytes(bytearray(a))
text = a.decode('latin-1')
plain = max(seconds(lambda: [a == b for _ in range(1000)]) / 1000, 1e-7)
eq = seconds(lambda: test_eq(a, b))
of_text = seconds(lambda: test_eq(text, text[:1] + text[1:]))
of_array = seconds(lambda: test_eq(bytearray(a), bytearray(b)))
in_list = seconds(lambda: test_eq([a], [b]))
half = seconds(lambda: test_eq(a[:51200], b[:51200]))
longer = seconds(lambda: test_fail(lambda: test_eq(a, b + b'x')))
for what, s in {'a == b': plain, 'test_eq': eq, 'half as many': half, 'bytearray': of_array, 'in a list': in_list,
                'one byte longer': longer, 'as text': of_text}.items():
    print(f'{what:16s} {s:.6f} s')
assert eq > 1000 * plain, 'the comparison is quick now'
assert min(of_array, in_list, longer) > .3 * eq and 1.3 < eq / half < 3, 'not in proportion to the number of bytes'
assert of_text < eq / 100, 'text is slow as well'
print('as described')
PY
