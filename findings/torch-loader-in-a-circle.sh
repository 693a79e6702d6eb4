#!/usr/bin/env bash
# torch's DataLoader kills its workers, after 5 seconds for each, when the garbage collector finds it in a circle of objects
#
# Versions: torch 2.14.1, Python 3.11 or newer, Linux. (The install takes several GB and some minutes.)
#
# Behaviour: an iterator of a DataLoader with workers, let go by its last reference, ends them in a few hundredths of a second. The same
# iterator as part of a circle (an object that refers to itself and to the loader; a trainer with callbacks; a frame that an exception
# holds) is left to Python's garbage collector, and there the order is another: first it calls back who watches the dead objects, among
# them multiprocessing's finalizers, which stop the thread that carries messages to a worker; then it calls the iterator's __del__, which
# sends the message to end. Nobody carries it. torch waits 5 seconds (MP_STATUS_CHECK_INTERVAL) for each worker in turn, then
# terminates it: 8 workers, 40 seconds, in whichever line of the program the collector happened to run. A profile shows
# the wait under deepcopy, json or the plot that was being drawn. Persistent workers or not, no pin_memory needed.
#
# Output seen: let go: 0.1 s, killed: 0; in a circle: 10.1 s, killed: 2; in a circle, watched: 0.0 s, killed: 0. (A killed worker's exit
# code is 0: torch's handler of SIGTERM says so.)
#
# The usual guess: del loader, or an end of its scope, ends the workers; where it takes long, a worker is busy or a lock was forked.
#
# What it means: end the workers before the circle is let go (iterator._shutdown_workers(), private), or let a weakref.finalize of the
# loader do so: the registry of finalizers keeps iterator and queues whole until then.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q torch==2.14.1 numpy
cat > circle.py <<'PY'
import gc
import time
import weakref
from torch.utils.data import DataLoader


class Holder: pass


def let_go(circle, watched=False):
    "Seconds until the workers of a loader are gone, and how many had to be killed."
    holder = Holder()
    holder.loader = DataLoader(range(64), batch_size=8, num_workers=2, persistent_workers=True)
    holder.iterator = iter(holder.loader)
    next(holder.iterator)
    killed = []
    for worker in holder.iterator._workers:
        worker.terminate = lambda kill=worker.terminate: (killed.append(1), kill())
    if circle: holder.itself = holder
    if watched:
        weakref.finalize(holder.loader, holder.iterator._shutdown_workers).atexit = False
    start = time.perf_counter()
    del holder
    gc.collect()
    return time.perf_counter() - start, len(killed)


if __name__ == '__main__':
    gc.disable()        # only when it is told to
    for name, options in [('let go', (False,)), ('in a circle', (True,)), ('in a circle, watched', (True, True))]:
        seconds, killed = let_go(*options)
        print(f'{name}: {seconds:.1f} s, killed: {killed}')
        slow = name == 'in a circle'
        assert killed == (2 if slow else 0), killed
        assert (seconds > 9) if slow else (seconds < 4), seconds
    print('as described: in a circle each worker is waited for and killed')
PY
venv/bin/python circle.py
