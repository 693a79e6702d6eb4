"""What the tests of the queue share: a Redis of their own, and an environment that names no other queue."""
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

LEASE = 3.


class Server:
    "A Redis on a free loopback port that keeps what it was told; it can be killed and started again."
    def __init__(self, folder: Path, *options, tls: bool = False):
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            self.port = s.getsockname()[1]
        folder.mkdir(parents=True, exist_ok=True)
        at = ['--port', '0', '--tls-port', str(self.port)] if tls else ['--port', str(self.port)]
        self.command = [
            'redis-server', *at, '--bind', '127.0.0.1', '--dir', str(folder), '--save', '',
            '--appendonly', 'yes', '--appendfsync', 'always', '--logfile',
            str(folder / 'redis.log'), *map(str, options)]
        self.start()
    def start(self):
        self.process = subprocess.Popen(self.command)
        for _ in range(200):
            with socket.socket() as s:
                if s.connect_ex(('127.0.0.1', self.port)) == 0: return
            time.sleep(.05)
        raise RuntimeError('redis-server does not start')
    def kill(self):
        self.process.kill()
        self.process.wait()
    @property
    def queue(self) -> dict: return dict(ip='127.0.0.1', port=self.port, lease=LEASE)


@pytest.fixture
def server(tmp_path):
    "Makes servers; they are gone at the end."
    if not shutil.which('redis-server'):
        (pytest.fail if os.environ.get('CI') else pytest.skip)(
            'no redis-server (apt-get install redis-server)')
    found = []
    def make(*options, **kwargs):
        found.append(Server(tmp_path / f'redis{len(found)}', *options, **kwargs))
        return found[-1]
    yield make
    for s in found: s.kill()


@pytest.fixture
def no_queue_of_ones_own(tmp_path, monkeypatch):
    "Jobs may name files of the test; nothing of the machine's own queue is seen."
    monkeypatch.setenv('ROCK_QUEUE_PATHS', str(tmp_path.parent.parent))
    for name in ('ROCK_QUEUE_URL', 'ROCK_QUEUE_PASSWORD'):
        monkeypatch.delenv(name, raising=False)
    import naps
    naps.register()
