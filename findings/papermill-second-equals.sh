#!/usr/bin/env bash
# papermill does not know a parameter whose line holds a second equals sign, even in the comment
#
# Versions: papermill 2.7.0, nbformat 5.11.1, Python 3.11 or newer.
#
# Behaviour: to tell parameters from the lines that go on with them, papermill counts the "=" of each line of the cell tagged
# parameters, as text: quotes and comments count. A line with two is left out of what inspect_notebook and
# --help-notebook list, with "Unable to parse line N" in the log. If it is given with -p all the same, the run says "Passed
# unknown parameter", and then works, since the value is written into the notebook as any other. Runs of comparisons
# (==), of keyword arguments in a default, and of help texts with an example are all such lines. A comment line of its own above is skipped
# before counting, so help may stand there.
#
# Seen (line -> known to papermill):
#   loss: str = 'ce'  # ce or focal      -> known
#   lr = 1e-3  # e.g. lr=3e-4             -> unknown
#   filter = 'site=north'                 -> unknown
#   # e.g. crop=3 above crop = 1          -> known
#
# The usual guess: the cell is Python, so it is read as Python, and a comment is nothing but a comment.
#
# What it means: a sweep that refuses unknown parameters by asking inspect_notebook, as schedulers and dashboards do, refuses one that is
# there; and whoever reads "unknown parameter" in a log looks for a slip of the pen that is not one.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q papermill==2.7.0 nbformat==5.11.1
venv/bin/python - <<'PY'
import logging

import nbformat
import papermill
from nbformat.v4 import new_code_cell, new_notebook

LINES = [
    "loss: str = 'ce'  # ce or focal", 'lr = 1e-3  # e.g. lr=3e-4', "filter = 'site=north'",
    '# e.g. crop=3', 'crop = 1']
said = []
handler = logging.Handler()
handler.emit = lambda record: said.append(record.getMessage())
logging.getLogger('papermill').addHandler(handler)
cell = new_code_cell('\n'.join(LINES), metadata=dict(tags=['parameters']))
kernel = dict(kernelspec=dict(name='python3', language='python', display_name='Python 3'))
nbformat.write(new_notebook(cells=[cell], metadata=kernel), 'train.ipynb')
known = list(papermill.inspect_notebook('train.ipynb'))
print('known:', known)
print(*said, sep='\n')
assert len(said) == 2 and all('Unable to parse line' in m for m in said), said
said.clear()
papermill.execute_notebook('train.ipynb', 'out.ipynb', dict(loss='focal', lr=.1), prepare_only=True, progress_bar=False)
given = [m for m in said if 'unknown' in m]
print(*given, sep='\n')
assert given == ['Passed unknown parameter: lr'], given
names = dict(loss=0, lr=0, filter=0, crop=0)
exec(cell.source, names)
assert {'loss', 'lr', 'filter', 'crop'} <= names.keys(), 'all four are there for Python'
assert known == ['loss', 'crop'], known
print('as described')
PY
