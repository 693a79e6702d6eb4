"""What the launch tests run in each rank: the ranks add up their numbers, the first writes a line of history each epoch; mischief on request."""
import argparse
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch.utils.data import DataLoader

from rock_nb.core import BadInput


def options():
    p = argparse.ArgumentParser()
    p.add_argument('--run', type=Path)                   # the run folder, shared by all ranks
    p.add_argument('--epochs', type=int, default=3)
    p.add_argument('--seconds', type=float, default=.3)  # an epoch takes
    p.add_argument('--workers', type=int, default=0)     # loader processes of each rank
    p.add_argument('--crash', type=int, default=-1)      # the rank that fails after the first epoch
    p.add_argument('--bad', type=int, default=-1)        # the rank that is given a wrong value
    return p.parse_args()


def main():
    o = options()
    rank = int(os.environ['RANK'])
    if rank == o.bad: raise BadInput("unknown recipe 'v9'; choose one of: v1, v2")
    dist.init_process_group('gloo')
    history = o.run / 'history.csv'
    done = torch.tensor([len(history.read_text().splitlines()) - 1 if history.exists() else 0])
    dist.broadcast(done, 0)
    photos = iter(DataLoader(range(10**9), num_workers=o.workers))
    for epoch in range(int(done), o.epochs):
        next(photos)
        if rank == o.crash and epoch > 0: raise ValueError('the loss is nan')
        total = torch.ones(1)
        dist.all_reduce(total)
        time.sleep(o.seconds)
        (o.run / f'{rank}.pid').write_text(str(os.getpid()))
        if rank == 0:
            with open(history, 'a') as f:
                f.write(
                    'epoch,ranks,time\n' * (epoch == 0)
                    + f'{epoch + 1},{int(total)},{time.time()}\n')
    dist.barrier()
    dist.destroy_process_group()


if __name__ == '__main__': main()
