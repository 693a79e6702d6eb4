"""Machines that aren't there: network namespaces, each with its own address, joined by a bridge in one more namespace.

    with machines(4) as hosts:
        hosts[0].address                         # '10.77.0.1'
        p = hosts[1].start('python', '-m', …)    # a process on that machine
        hosts[1].kill()                          # SIGKILL for all that runs there

    with machines(2, rate='1gbit', delay=.002) as hosts: …    # what a cable carries, and for how long

The rate is the kernel's `tbf`. For a delay a process stands in for the bridge, since not every kernel has `netem`: it
holds each frame until its time has come.
"""
import contextlib
import fcntl
import heapq
import itertools
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
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


def join(switch: str, net: str, i: int, tap: str = '') -> Machine:
    "A machine with a cable to the switch; `tap`: the end of the cable that is there already."
    m = Machine(f'{switch}-{i}', f'{net}.{i}')
    ip('netns', 'add', m.name)
    if tap:
        ip('link', 'set', tap, 'netns', m.name)
        ip('-n', m.name, 'link', 'set', tap, 'name', 'eth0', 'mtu', MTU)
    else:
        ip(
            '-n', switch, 'link', 'add', f'cable{i}', 'type', 'veth', 'peer', 'name', 'eth0',
            'netns', m.name)
        ip('-n', switch, 'link', 'set', f'cable{i}', 'master', 'switch', 'up')
    ip('-n', m.name, 'addr', 'add', f'{m.address}/24', 'dev', 'eth0')
    for device in ('lo', 'eth0'): ip('-n', m.name, 'link', 'set', device, 'up')
    return m


def limit(space: str, device: str, rate: str):
    "Let a device send no faster than that."
    # a burst holds the largest frame that the kernel cuts late, and is sent in a millisecond
    shape = ['tbf', 'rate', rate, 'burst', '128kb', 'latency', '400ms']
    words = ['tc', '-n', space, 'qdisc', 'replace', 'dev', device, 'root', *shape]
    subprocess.run(words, check=True)


MTU = 60_000    # of a cable with a delay: few large frames, which Python can carry


def open_tap(name: str) -> int:
    "A new network device whose frames are read and written here."
    fd = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
    flags = 0x1002      # IFF_TAP | IFF_NO_PI
    fcntl.ioctl(fd, 0x400454ca, struct.pack('16sH22x', name.encode(), flags))    # TUNSETIFF
    return fd


def carry(delay: float, fds: list[int]):
    "A switch of taps: each frame goes to the one that has its address, after so many seconds."
    held, known, count = [], {}, itertools.count()
    while True:
        wait = max(0., held[0][0] - time.monotonic()) if held else None
        for fd in select.select(fds, [], [], wait)[0]:
            with contextlib.suppress(BlockingIOError):
                while frame := os.read(fd, MTU + 64):
                    known[frame[6:12]] = fd
                    there = known.get(frame[:6])
                    to = [there] if there else [f for f in fds if f != fd]
                    heapq.heappush(held, (time.monotonic() + delay, next(count), to, frame))
        while held and held[0][0] <= time.monotonic():
            *_, to, frame = heapq.heappop(held)
            for fd in to:
                with contextlib.suppress(OSError): os.write(fd, frame)


@contextlib.contextmanager
def machines(
    n: int,
    rate: str = '',          # that a cable carries, as `tc` writes it
    delay: float = 0.,       # s, one way
    net: str = '10.77.0'
):
    "`n` machines that reach each other; whatever happens, they are taken down at the end."
    need_machines()
    switch, found, taps, carrier = f'rock{os.getpid()}', [], [], None
    names = [f'rt{os.getpid() % 10**6}-{i}' for i in range(1, n + 1)] if delay else [''] * n
    ip('netns', 'add', switch)
    try:
        ip('-n', switch, 'link', 'add', 'switch', 'type', 'bridge')
        ip('-n', switch, 'link', 'set', 'switch', 'up')
        for i, tap in enumerate(names, 1):
            if tap: taps.append(open_tap(tap))
            found.append(join(switch, net, i, tap))
            if rate:
                limit(found[-1].name, 'eth0', rate)
                if not tap: limit(switch, f'cable{i}', rate)
        if taps:
            words = [sys.executable, __file__, str(delay), *map(str, taps)]
            carrier = subprocess.Popen(words, pass_fds=taps)
        yield found
    finally:
        for m in found: m.kill()
        if carrier:
            carrier.kill()
            carrier.wait()
        for fd in taps: os.close(fd)
        for name in ip('netns', 'list').split():
            if name.split('-')[0] == switch: ip('netns', 'del', name)


if __name__ == '__main__': carry(float(sys.argv[1]), [int(fd) for fd in sys.argv[2:]])
