#!/usr/bin/env bash
# A kernel that takes seconds to start leaves replies behind, and the first message after execute() is one of them
#
# Versions: jupyter_client 8.10.0, ipykernel 7.4.0, Linux, Python 3.11 or newer.
#
# Behaviour: start_new_kernel and wait_for_ready ask a kernel who it is once a second until it answers, each time by another request. A
# kernel that needs four seconds to begin answers all of them, and the client reads the first answer only. The others stay in the shell
# channel. So get_shell_msg() after execute() gives a kernel_info_reply whose status is 'ok', also where the cell raises an error or still
# runs, and the real reply comes some messages later.
#
# Output seen: four times ('kernel_info_reply', 'ok'), then ('execute_reply', 'error'), for a cell that divides by zero
#
# The usual guess: once wait_for_ready has come back the channel is empty, and what get_shell_msg() gives after execute() is its reply.
#
# What it means: compare parent_header.msg_id with what execute() returned (as nbclient and papermill do), or the verdict on a notebook
# depends on how busy the machine was as its kernel began: loading torch at start-up is enough.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q jupyter_client==8.10.0 ipykernel==7.4.0
cat > ask.py <<'PY'
import json, os, sys
from pathlib import Path
from jupyter_client.manager import start_new_kernel

def spec(name: str, wait: int):
    folder = Path(sys.prefix)/'share'/'jupyter'/'kernels'/name
    folder.mkdir(parents=True)
    begin = f'sleep {wait}; exec "$0" -m ipykernel_launcher -f "$1"'
    argv = ['sh', '-c', begin, sys.executable, '{connection_file}']
    (folder/'kernel.json').write_text(json.dumps(dict(argv=argv, display_name=name, language='python')))

def replies(name: str) -> list:
    "Type and status of what comes after execute(), up to its reply."
    manager, client = start_new_kernel(kernel_name=name)
    try:
        asked, found = client.execute('1/0'), []
        while not found or found[-1][2] != asked:
            m = client.get_shell_msg(timeout=60)
            found.append((m['msg_type'], m['content']['status'], m['parent_header']['msg_id']))
        return [f[:2] for f in found]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)

spec('slow', 4)
found = replies('slow')
print(f"after four seconds: {found}")
assert found[-1] == ('execute_reply', 'error'), found
assert len(found) > 2 and set(found[:-1]) == {('kernel_info_reply', 'ok')}, found
print("as described: what comes first is no reply to the cell, and says 'ok'")
PY
venv/bin/python ask.py 2> errors || { cat errors; exit 1; }
