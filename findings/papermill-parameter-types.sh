#!/usr/bin/env bash
# papermill -p turns some commit hashes into infinity, and the word false into something true
#
# Versions: papermill 2.7.0, ipykernel 7.4.0, Python 3.11 or newer.
#
# Behaviour: the value after -p NAME is tried as exactly True, False or None, then with int(), then with float(), and only
# then kept as text. So it is neither the shell's reading nor YAML's (-y is that): seven hexadecimal digits
# with a single e among decimal ones are a number, and usually one too great for a float; leading zeros, a final zero and
# underscores between digits go; yet 0x10, true, false and null stay text, and a text that is not empty is true in Python.
# The executed notebook shows the changed value as if somebody had typed it. -r NAME keeps everything as text.
#
# Seen (given -> what the notebook gets):
#   297e781 -> inf    001 -> 1    1.10 -> 1.1    1_000 -> 1000    0x10 -> '0x10'    true -> 'true'    false -> 'false' (true)
#   -r 297e781 -> '297e781'       -y 'x: false' -> False
#
# The usual guess: what does not look like a number to a person stays text, and true and false are understood as in YAML or JSON.
#
# What it means: "papermill train.ipynb out.ipynb -p run $(git rev-parse --short HEAD)" works for weeks, until a hash has
# no letter but one e between digits (about one commit in 54 for seven digits, and half of them are too great for a float);
# from then on the weights of different runs are filed under the one name "inf". Sample numbers like 001 lose their zeros and match no file. And
# "-p augment false" trains with augmentation. Use -r for names, and -y (or a capital letter) for truth values.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q papermill==2.7.0 ipykernel==7.4.0 nbformat==5.11.1
export JUPYTER_DATA_DIR="$dir/jupyter" JUPYTER_RUNTIME_DIR="$dir/runtime" IPYTHONDIR="$dir/ipython"
venv/bin/python -m ipykernel install --sys-prefix --name python3 >/dev/null 2>&1
venv/bin/python - <<'PY'
import json
import subprocess
import nbformat

names = 'commit sample release count hexa yes no kept yaml'.split()
setup = nbformat.v4.new_code_cell('\n'.join(f'{name} = None' for name in names), metadata={'tags': ['parameters']})
report = nbformat.v4.new_code_cell('import json\nopen("seen.json", "w").write(json.dumps([[repr(v), bool(v)] for v in (%s)]))' % ', '.join(names))
book = nbformat.v4.new_notebook(cells=[setup, report], metadata={'kernelspec': {'name': 'python3', 'display_name': 'python3', 'language': 'python'}})
nbformat.write(book, 'in.ipynb')
given = [('-p', 'commit', '297e781'), ('-p', 'sample', '001'), ('-p', 'release', '1.10'), ('-p', 'count', '1_000'), ('-p', 'hexa', '0x10'),
         ('-p', 'yes', 'true'), ('-p', 'no', 'false'), ('-r', 'kept', '297e781'), ('-y', 'yaml: false')]
command = ['venv/bin/papermill', 'in.ipynb', 'out.ipynb', '--no-progress-bar', '--log-level', 'ERROR']
subprocess.run(command + [word for option in given for word in option], check=True)
seen = json.load(open('seen.json'))
for option, (value, truth) in zip(given, seen):
    print(' '.join(option), '->', value, '(true)' if truth else '(not true)')
assert seen == [['inf', True], ['1', True], ['1.1', True], ['1000', True], ["'0x10'", True],
                ["'true'", True], ["'false'", True], ["'297e781'", True], ['False', False]]
print('as described: -p reads numbers into names, and no truth into false')
PY
