#!/usr/bin/env bash
# A job of rq that is deleted while it waits for another, and queued anew under its id, makes that other fail once it has succeeded
#
# Versions: rq 3.0.0, redis 8.1.0 (Python client), Redis 7.0.15 of Debian 12 (apt-get with Debian's package lists is needed, nothing is
# installed).
#
# Behaviour: Job.delete() takes a job out of its queue and its registries, but leaves its id among the dependents of the job that it waited
# for. As long as nobody has that id this does no harm. If the id is used again (they are names here: a run, an experiment), then
#   - without dependencies: when the first job has returned, rq watches the dependencies of the second, which are none; Redis answers
#     "wrong number of arguments for 'watch' command", and the worker books the first job as failed. Its result is lost, and what else
#     waits for it waits for ever;
#   - with other dependencies that are met: the second job is put into the queue once more, and done twice.
# cancel(remove_from_dependencies=True) before delete() takes the id out.
#
# Output seen (status of the first job; how often the second was done):
#   deleted, queued anew alone             failed 1
#   deleted, queued anew after another     finished 2
#   cancelled and deleted, queued anew     finished 1
#   deleted, never again                   finished 0
#
# The usual guess: a deleted job is gone; a job that has returned a value is finished, whatever happens to those that wait for it.
#
# What it means: schedulers that name their jobs (so that none is done twice) and let them be withdrawn should cancel them with
# remove_from_dependencies=True before they delete them.
set -euo pipefail
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
mkdir debs root
(cd debs && apt-get download -qq redis-server redis-tools libjemalloc2 liblua5.1-0 liblzf1 libatomic1 lua-bitop lua-cjson 2>/dev/null)
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
export LD_LIBRARY_PATH=$dir/root/usr/lib/$(uname -m)-linux-gnu
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check rq==3.0.0 redis==8.1.0
socket=$dir/redis.socket
root/usr/bin/redis-server --port 0 --unixsocket "$socket" --save '' > redis.log &
for i in $(seq 50); do [ -S "$socket" ] && break; sleep .1; done

cat > work.py <<'PY'
def work(name):
    with open('done', 'a') as f: f.write(name + '\n')
    return 'fine'
PY
cat > see.py <<'PY'
import os, sys
from pathlib import Path

import redis
from rq import Queue, Worker
from rq.job import Job
from work import work

r = redis.Redis(unix_socket_path=sys.argv[1])
q = Queue(connection=r)

def add(name, after=None): return q.enqueue(work, name, job_id=name, depends_on=after)

def burst(): Worker([q], connection=r).work(burst=True, logging_level='CRITICAL')

def trial(withdraw, again, after=None):
    r.flushall()
    Path('done').write_text('')
    if after:
        add(after)
        burst()
    add('first')
    withdraw(add('second', 'first'))
    if again: add('second', after)
    burst()
    burst()
    return f"{Job.fetch('first', r).get_status().value} {Path('done').read_text().split().count('second')}"

def properly(job):
    job.cancel(remove_from_dependencies=True)
    job.delete()

seen = {
    'deleted, queued anew alone': trial(Job.delete, True),
    'deleted, queued anew after another': trial(Job.delete, True, 'other'),
    'cancelled and deleted, queued anew': trial(properly, True),
    'deleted, never again': trial(Job.delete, False)}
for what, how in seen.items(): print(f'{what:38} {how}')
assert list(seen.values()) == ['failed 1', 'finished 2', 'finished 1', 'finished 0'], 'it has changed'
print('as described')
PY
env/bin/python see.py "$socket"
