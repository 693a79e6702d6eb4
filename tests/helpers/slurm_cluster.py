"""A cluster of SLURM on this machine alone: two nodes, with a controller and a munge of their own, gone at the end.

They are on loopback, or each in a network namespace of `hosts.machines(2)`, with an address of its own; the controller
is beside the first.
"""
import contextlib
import functools
import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
import waiting
from hosts import Machine


until = functools.partial(waiting.until, seconds=120)
PROGRAMS = ('slurmctld', 'slurmd', 'munged', 'sbatch', 'squeue')
CONF = '''
ClusterName=rock
SlurmctldHost={host}({at[0]})
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={home}/munge.socket,cred_expire=6
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool-%n
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=1,bf_interval=1
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=5
KillWait=5
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
PartitionName=main Nodes=ALL Default=YES State=UP
NodeName=n1 NodeHostname={host} NodeAddr={at[0]} Port={ports[1]} CPUs=2
NodeName=n2 NodeHostname={host} NodeAddr={at[1]} Port={ports[2]} CPUs=2
'''


def free_ports(n: int) -> list[int]:
    "Ports that nobody listens on now."
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(n)]
        for s in found: s.bind(('127.0.0.1', 0))
        return [s.getsockname()[1] for s in found]


class Cluster:
    "Two nodes and their controller."
    def __init__(self, home: Path, hosts: Sequence[Machine] = ()):
        self.home, self.daemons, self.hosts = home, {}, hosts
        (home / 'state').mkdir(parents=True)
        self.conf = home / 'slurm.conf'
        about = dict(
            host=socket.gethostname().split('.')[0], user=getpass.getuser(),
            at=[h.address for h in hosts] or ['127.0.0.1'] * 2)
        self.conf.write_text(CONF.format(home=home, ports=free_ports(3), **about))
        key = home / 'munge.key'
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        at = {
            f'--{n}-file': home / f'munge.{n}' for n in ('key', 'log', 'pid', 'seed')} | {
            '--socket': home / 'munge.socket'}
        words = [f'{k}={v}' for k, v in at.items()]
        self.start('munged', '--foreground', '--force', '--num-threads=1', *words)
        until((home / 'munge.socket').exists, said=self.logs)
        self.start('slurmctld', '-D')
        for n in ('n1', 'n2'): self.start('slurmd', '-D', '-N', n, name=n)
        until(
            lambda: self.call('sinfo', '-h', '-t', 'idle', '-o', '%D').strip() == '2', said=self.logs)
    def start(self, *words: str, name: str = ''):
        name = name or words[0]
        with open(self.home / f'{name}.log', 'ab') as log:
            self.daemons[name] = subprocess.Popen(
                [*self.inside(name), *words], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env=os.environ | dict(SLURM_CONF=str(self.conf), ROCK_NODE=name))
    def inside(self, name: str = '') -> list[str]:
        "What makes a command one of the machine that a daemon is on; `ip netns exec` would hide its cgroups."
        host = self.hosts[name == 'n2'] if self.hosts else None
        return ['nsenter', f'--net=/run/netns/{host.name}'] if host else []
    def call(self, *words: str) -> str:
        return subprocess.run(
            [*self.inside(), *words], text=True, capture_output=True,
            env=os.environ | dict(SLURM_CONF=str(self.conf))).stdout
    def logs(self) -> str:
        return '\n'.join(
            f'--- {p.name}\n{p.read_text(errors="replace")[-2000:]}'
            for p in sorted(self.home.glob('*.log')))
    def processes(self, node: str = '') -> list[psutil.Process]:
        "What runs on a node, or on any: its daemon, those that the daemon left behind, jobs."
        found = []
        for p in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if p.name().startswith('slurmstepd'):       # its title lies over its environment
                    sockets = [c.laddr for c in p.net_connections('unix')]
                    if any(s.startswith(f'{self.home}/spool-{node}') for s in sockets):
                        found.append(p)
                    continue
                env = p.environ()
                name = env.get('SLURMD_NODENAME') or env.get('ROCK_NODE')
                if env.get('SLURM_CONF') == str(self.conf) and name and node in ('', name):
                    found.append(p)
        return found
    def kill(self, node: str = ''):
        "A node, or all, without a word."
        found = self.processes(node)
        # first all stand still: none shall tell the controller of another's end
        for send in (psutil.Process.suspend, psutil.Process.kill):
            for p in found:
                with contextlib.suppress(psutil.Error): send(p)
        for name in [node] if node else list(self.daemons): self.daemons[name].wait()


def need_slurm():
    "Skip where SLURM is not installed; in CI that is a failure."
    if missing := [p for p in PROGRAMS if not shutil.which(p)]:
        (pytest.fail if os.environ.get('CI') else pytest.skip)(
            f'no {", ".join(missing)} (apt-get install slurm-wlm munge)')


@pytest.fixture(scope='module')
def slurm(tmp_path_factory):
    "A cluster whose commands this process uses."
    need_slurm()
    cluster = Cluster(tmp_path_factory.mktemp('slurm'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('SLURM_CONF', str(cluster.conf))
        yield cluster
    cluster.kill()
