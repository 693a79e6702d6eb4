"""Machines that aren't there: network namespaces, each with its own address, joined by a bridge in one more namespace.

    with machines(4) as hosts:
        hosts[0].address                         # '10.77.0.1'
        p = hosts[1].start('python', '-m', …)    # a process on that machine
        hosts[1].kill()                          # SIGKILL for all that runs there
"""
import contextlib
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass

import pytest


def ip(*words) -> str:
    return subprocess.run(
        ['ip', *map(str, words)], check=True, capture_output=True, text=True).stdout


def need_machines():
    "Skip where network namespaces can't be made; in CI that is a failure."
    why = (
        'no `ip` (apt-get install iproute2)' if not shutil.which('ip')
        else 'network namespaces need root' if os.geteuid() else None)
    if why: (pytest.fail if os.environ.get('CI') else pytest.skip)(why)


@dataclass
class Machine:
    "A network namespace."
    name: str
    address: str
    def start(self, *command, **kwargs) -> subprocess.Popen:
        "Run a command on this machine; its output as text."
        return subprocess.Popen(
            ['ip', 'netns', 'exec', self.name, *map(str, command)], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kwargs)
    def pids(self) -> list[int]:
        return [int(p) for p in ip('netns', 'pids', self.name).split()]
    def kill(self) -> int:
        "SIGKILL for every process here, at once; how many there were."
        pids = self.pids()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(pids)


def join(switch: str, i: int) -> Machine:
    "A machine with a cable to the switch."
    m = Machine(f'{switch}-{i}', f'10.77.0.{i}')
    ip('netns', 'add', m.name)
    ip(
        '-n', switch, 'link', 'add', f'cable{i}', 'type', 'veth', 'peer', 'name', 'eth0', 'netns',
        m.name)
    ip('-n', switch, 'link', 'set', f'cable{i}', 'master', 'switch', 'up')
    ip('-n', m.name, 'addr', 'add', f'{m.address}/24', 'dev', 'eth0')
    for device in ('lo', 'eth0'): ip('-n', m.name, 'link', 'set', device, 'up')
    return m


@contextlib.contextmanager
def machines(n: int):
    "`n` machines that reach each other; whatever happens, they are taken down at the end."
    need_machines()
    switch, found = f'rock{os.getpid()}', []
    ip('netns', 'add', switch)
    try:
        ip('-n', switch, 'link', 'add', 'switch', 'type', 'bridge')
        ip('-n', switch, 'link', 'set', 'switch', 'up')
        for i in range(1, n + 1): found.append(join(switch, i))
        yield found
    finally:
        for m in found: m.kill()
        for name in ip('netns', 'list').split():
            if name.split('-')[0] == switch: ip('netns', 'del', name)
