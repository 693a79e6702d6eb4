#!/usr/bin/env bash
# In a notebook, a program that is given stdout=sys.stdout writes past the notebook, and one that is given nothing writes into it
#
# Versions: ipykernel 7.4.0, nbclient 0.11.0, IPython 9.18.1, Linux, Python 3.11 or newer.
#
# Behaviour: a kernel captures file descriptors 1 and 2 with a pipe, so what C code and child processes write there becomes output of the
# cell. sys.stdout and sys.stderr are objects of ipykernel, and their fileno() does not name the captured descriptor, but the copy that was
# made of the terminal before: that of the Jupyter server, of papermill, of a batch job. So subprocess.run(command) shows its output in the
# cell (and on the terminal, too), while subprocess.run(command, stdout=sys.stdout), faulthandler.enable() and everything else that asks for
# fileno() write to the terminal alone. Nothing fails, and the saved notebook lacks it.
#
# Output seen: in the notebook: ['inherited']; on the terminal: ['given sys.stdout', 'inherited', 'written to fileno()']
#
# The usual guess: stdout=sys.stdout is the explicit form of the default, or the one way that makes a child's output appear in notebooks
# (or fileno() raises UnsupportedOperation, as in older kernels and other replaced streams).
#
# What it means: leave stdout out, or read the child's pipe and print() it, for a record with the training's log in it. And a notebook
# that has to say something on the terminal of an unattended run can write to sys.stderr.fileno().
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q ipykernel==7.4.0 nbclient==0.11.0 ipython==9.18.1
cat > run.py <<'PY'
import nbformat
from nbclient import NotebookClient

cell = '''
import os, subprocess, sys
subprocess.run(['echo', 'inherited'])
subprocess.run(['echo', 'given sys.stdout'], stdout=sys.stdout)
os.write(sys.stdout.fileno(), b'written to fileno()\\n');
'''
nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
NotebookClient(nb, timeout=120).execute()
shown = ''.join(o.get('text', '') for o in nb.cells[0].outputs)
with open('shown', 'w') as f: f.write(shown)
PY
venv/bin/python run.py > terminal 2> errors
venv/bin/python - <<'PY'
read = lambda name: [line for line in open(name).read().splitlines() if line]
shown, terminal = read('shown'), sorted(read('terminal'))
print(f'in the notebook: {shown}; on the terminal: {terminal}')
assert shown == ['inherited'] and terminal == ['given sys.stdout', 'inherited', 'written to fileno()']
print('as described: what is given sys.stdout writes past the notebook')
PY
