"""Train on machines that aren't there, over links of a given speed, and write how long a step took beside what `scaling` expects.

    python tests/links.py --out docs/records/links-two-cores.csv

One, two and four network namespaces train the same small network (`rock_nb.train`, torchrun, gloo) over cables without
a limit, of 1 Gbit/s, of 100 Mbit/s, and of 1 Gbit/s with 2 ms each way, and send their gradients in 32 or in 16 bits.
Expected is the step over cables without a limit and what the ring of `rock_nb.bench.scaling` adds for the link. All
machines share the cores of this one: what a link costs can be told, how much faster more machines would be cannot. It
needs root and `ip` and `tc` (iproute2).
"""
import argparse
import itertools
import os
import sys
import tempfile
from pathlib import Path

# each process computes with one thread
os.environ.setdefault('OMP_NUM_THREADS', '1')
sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).parent / 'helpers')]

import pandas as pd
import timm

from conftest import flags
from hosts import machines
from rock_nb.bench.scaling import BYTES, ring_seconds
from rock_nb.core import Run
from rock_nb.data.synthetic import make

# name: what `tc` and the carrier are given, and the same as bytes/s and s for a message
LINKS = {
    'no limit': (dict(), None), '1 Gbit/s': (dict(rate='1gbit'), (125e6, 0.)),
    '100 Mbit/s': (dict(rate='100mbit'), (12.5e6, 0.)),
    '1 Gbit/s, 2 ms': (dict(rate='1gbit', delay=.002), (125e6, .002))}


def train(n: int, link: dict, compress: str, o: argparse.Namespace, data: Path, out: Path) -> float:
    "Seconds of a step of `n` machines, the median over the epochs but the first."
    given = dict(
        version='v1', arch=o.arch, pretrained=False, img_size=32, batch_size=o.batch_size,
        epochs=o.epochs, scale='full', augment='none', workers=0, amp='none', data=data, out=out,
        run='run', schedule='none', compress=compress)
    with machines(n, **link) as hosts:
        if n > 1: given |= dict(nnodes=n, rdzv=f'{hosts[0].address}:29500')
        started = [h.start(sys.executable, '-m', 'rock_nb.train', *flags(given)) for h in hosts]
        for p in started:
            said = p.communicate(timeout=600)[0]
            if p.returncode: sys.exit(said[-3000:])
    timing = pd.read_csv(Run(out / 'run').timing)
    return float((o.batch_size * n / timing.images_per_s[1:]).median())


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('--machines', type=int, nargs='+', default=[1, 2, 4])
    p.add_argument('--compress', nargs='+', default=['none', 'bf16'], choices=BYTES)
    p.add_argument('--arch', default='resnet18')
    p.add_argument('--batch_size', type=int, default=8)     # of each machine
    p.add_argument('--epochs', type=int, default=3)
    p.add_argument('--photographs', type=int, default=120)
    p.add_argument('--out', type=Path)
    o = p.parse_args()
    parameters = sum(w.numel() for w in timm.create_model(o.arch, num_classes=7).parameters())
    rows = []
    with tempfile.TemporaryDirectory() as tmp:
        data = make(Path(tmp) / 'data', n=o.photographs, n_test=7, size=(40, 60))
        for n, compress, name in itertools.product(o.machines, o.compress, LINKS):
            link, speed = LINKS[name]
            if n == 1 and (speed or compress != o.compress[0]): continue
            size = parameters * BYTES[compress]
            seconds = train(n, link, compress, o, data, Path(tmp) / f'{n}-{len(rows)}')
            if not speed: free = seconds
            ring = ring_seconds(n, size, *speed) if speed else 0.
            rows.append(dict(
                arch=o.arch, megabytes=size / 1e6, batch_size=o.batch_size, compress=compress,
                machines=n, link=name, step=seconds, expected=free + ring))
            print(
                f'{n} machines, {compress}, {name}: {seconds:.3f} s, expected {free + ring:.3f}',
                flush=True)
            if o.out: pd.DataFrame(rows).round(3).to_csv(o.out, index=False)


if __name__ == '__main__': main()
