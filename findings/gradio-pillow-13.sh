#!/usr/bin/env bash
# Beside Pillow 13, pip quietly installs a gradio that is three years old
#
# Versions: gradio up to 6.31.0, Pillow 13.0.0 (and 12.3.0 to compare), pip of Python 3.11 or newer.
#
# Behaviour: every gradio since 3.37 says in its metadata which Pillow it does not want yet (6.31.0: Pillow below 13). The releases of
# 3.x before 3.37 said only "pillow". A resolver that must keep Pillow 13, because a constraints file, a lock or another
# requirement says so, walks back through hundreds of releases until one has no upper bound, and takes that:
# gradio 3.36.1 of July 2023. pip reports success, without a warning. A lower bound on gradio turns it into an error at once.
#
# Seen (what pip would install): with pillow==12.3.0 a gradio 6; with pillow==13.0.0 gradio 3.36.1; with
# gradio>=4 and pillow==13.0.0 no solution.
#
# The usual guess: the newest gradio, or an error that names the conflict.
#
# What it means: an image project that pins the newest Pillow and adds a demonstration page with "pip install gradio -c
# requirements.lock" gets an interface whose API, security fixes and front end are those of 2023; code for gradio 4 to 6 fails
# in other places (gr.Sidebar, gr.render), and scanners find its old advisories. Give gradio a lower
# bound wherever Pillow is pinned, and look at what was installed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
resolve() { venv/bin/pip install -q --dry-run --ignore-installed --report report.json "$@" >log 2>&1; }
version() {
    python3 -c "
import json
found = {i['metadata']['name'].lower(): i['metadata']['version'] for i in json.load(open('report.json'))['install']}
print(found['gradio'])"
}
resolve 'gradio<=6.31.0' pillow==12.3.0
before=$(version)
resolve 'gradio<=6.31.0' pillow==13.0.0
beside=$(version)
echo "with Pillow 12.3.0: gradio $before"
echo "with Pillow 13.0.0: gradio $beside"
if resolve 'gradio>=4,<=6.31.0' pillow==13.0.0; then bound="gradio $(version)"; else bound='no solution'; fi
echo "with Pillow 13.0.0 and gradio>=4: $bound"
[ "${before%%.*}" = 6 ] && [ "$beside" = 3.36.1 ] && [ "$bound" = 'no solution' ]
echo 'as described'
