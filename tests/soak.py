"""Train, kill, resume, predict and queue on drawn photographs, round after round, and watch that nothing grows.

    python tests/soak.py --minutes 120

Each round draws its own photographs, trains a recipe in this process and once more in one that is killed at random
instants until it is through, wants the same bits of both, asks the network about the test images, lets a worker of the
queue train the same again (and kills the first one), then removes what it made. It prints memory, descriptors, threads
and disk behind each round, and ends with status 1 if a result was wrong or if something is larger at the end than it
was once everything had been used.
"""

import argparse
import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

# one thread: two trainings give the same bits, and cores are shared
os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ['TQDM_DISABLE'] = '1'

import numpy as np
import psutil

from rock_nb.core import Run
from rock_nb.data.synthetic import make
from rock_nb.evaluation.predictions import load_predictions
from rock_nb.predict import predict_images
from rock_nb.queue import open_queue, publish
from rock_nb.train import fit

SMALL = dict(
    arch='test_resnet',
    pretrained=False,
    img_size=32,
    batch_size=8,
    scale='smoke',
    every=0.0,
    drop_rate=0.1,
)
RECIPES = [
    dict(version='v1', epochs=3, workers=0),
    dict(version='v3', epochs=4, mix='cutmix', augment='v2', workers=0),
    dict(
        version='baseline',
        epochs=3,
        sampler='balanced',
        hard_memory=20,
        hard_ratio=0.25,
        ema=0.9,
        workers=0,
        pack='raw',
    ),
]
WARM = 3  # rounds until everything was used once
ALLOWED = dict(memory=60, descriptors=2, threads=4, disk=1, shared=1)  # MB, count, count, MB, MB


def quiet(*_):
    pass


def train(given: dict, log: str):
    "What the process does that is killed."
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    os.dup2(1, 2)
    fit(**given, show=quiet)


def work(folder: str, log: str):
    "A worker of the queue, until nothing is left."
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    os.dup2(1, 2)
    from rock_nb.jobs.worker import Worker

    Worker(open_queue(folder=folder), 'once').run()


def megabytes(folder: Path) -> float:
    "What lies below a folder."
    sizes = 0
    for f in folder.rglob('*'):
        with contextlib.suppress(OSError):
            sizes += f.stat().st_size
    return sizes / 2**20


def look(root: Path) -> dict:
    "What this process holds now, and what lies on the disk."
    me = psutil.Process()
    return dict(
        memory=me.memory_info().rss / 2**20,
        descriptors=me.num_fds(),
        threads=me.num_threads(),
        disk=megabytes(root),
        shared=psutil.disk_usage('/dev/shm').used / 2**20 if os.path.isdir('/dev/shm') else 0.0,
    )


def killed_until_done(context, given: dict, log: Path, gen: random.Random, most: int) -> int:
    "Train in processes that are killed after a while, again and again; how many were, `most` at most."
    kills = 0
    while True:
        p = context.Process(target=train, args=(given, str(log)))
        p.start()
        p.join(gen.uniform(0.3, 2.5) if kills < most else None)
        if p.is_alive():
            os.kill(p.pid, signal.SIGKILL)
        p.join()
        if p.exitcode == 0:
            return kills
        assert p.exitcode == -signal.SIGKILL, log.read_text()[-2000:]
        kills += 1


def through_queue(context, given: dict, root: Path, gen: random.Random):
    "Publish a training, kill the first worker that has it, let another one finish it."
    queue = open_queue(folder=root / 'queue')
    [job] = publish(queue, given['version'], **{k: v for k, v in given.items() if k != 'version'})
    log = str(root / 'worker.log')
    for wait in (gen.uniform(3, 9), None):
        p = context.Process(target=work, args=(str(root / 'queue'), log))
        p.start()
        p.join(wait)
        if p.is_alive():
            os.kill(p.pid, signal.SIGKILL)
        p.join()
    done = queue.find(job.id)
    assert done.state == 'done', f'{done.state}: {done.error}'


def same_bits(a: Run, b: Run):
    "Two runs have the same weights, history and answers."
    for name in ('best', 'history', 'valid', 'test'):
        x, y = getattr(a, name), getattr(b, name)
        assert x.read_bytes() == y.read_bytes(), f'{x} and {y} differ'


def one_round(number: int, root: Path, context, gen: random.Random, most: int) -> int:
    "Everything once, on photographs of its own; how often a training was killed."
    data = make(root / 'data', n=49, n_test=14, size=(40, 60), seed=number)
    given = SMALL | RECIPES[number % len(RECIPES)] | dict(data=str(data), out=str(root / 'runs'))
    whole = fit(**given, run='whole', show=quiet)
    kills = killed_until_done(context, given | dict(run='killed'), root / 'killed.log', gen, most)
    same_bits(whole, Run(root / 'runs/killed'))
    known = load_predictions(whole.test)
    said = predict_images(whole, data / 'test', workers=number % 2, device='cpu')
    stems = [Path(i).stem for i in said.ids]
    order = [stems.index(Path(str(i)).stem) for i in known.ids]
    np.testing.assert_allclose(said.probs[order], known.probs, atol=1e-4)
    through_queue(context, given | dict(run='queued'), root, gen)
    same_bits(whole, Run(root / 'runs/queued'))
    for folder in ('data', 'runs', 'queue'):
        shutil.rmtree(root / folder)
    for log in root.glob('*.log'):
        log.unlink()
    return kills


def grown(rows: list[dict]) -> list[str]:
    "What is larger at the end than once everything was used, by more than is allowed."
    rows = rows[WARM:]
    if len(rows) < 4:
        return []
    third = max(2, len(rows) // 3)
    before, after = (
        {k: np.median([r[k] for r in some]) for k in ALLOWED}
        for some in (rows[:third], rows[-third:])
    )
    return [
        f'{k}: {before[k]:.0f} -> {after[k]:.0f}'
        for k, more in ALLOWED.items()
        if after[k] > before[k] + more
    ]


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--minutes', type=float, default=10.0, help='how long (10)')
    p.add_argument('--rounds', type=int, help='how many, however long they take')
    p.add_argument('--kills', type=int, default=6, help='of a training, at most (6)')
    p.add_argument('--seed', type=int, default=0, help='of the photographs and the kills (0)')
    p.add_argument('--folder', help='where it works (a temporary folder)')
    o = p.parse_args()
    end, gen, rows, number = time.time() + 60 * o.minutes, random.Random(o.seed), [], 0
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['rock_nb.train', 'rock_nb.queue'])
    print(
        f"{'round':>5} {'seconds':>8} {'kills':>6} " + ' '.join(f'{k:>12}' for k in ALLOWED),
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix='rock_nb-soak-', dir=o.folder) as folder:
        root = Path(folder)
        os.environ['ROCK_QUEUE_PATHS'] = folder      # jobs may be there, in workers too
        while number < o.rounds if o.rounds else time.time() < end or number <= WARM:
            start = time.time()
            with (
                open(root / 'said', 'w') as said,
                contextlib.redirect_stdout(said),
                contextlib.redirect_stderr(said),
            ):
                kills = one_round(o.seed * 1000 + number, root, context, gen, o.kills)
            rows.append(look(root))
            print(
                f'{number:5} {time.time() - start:8.1f} {kills:6} '
                + ' '.join(f'{v:12.1f}' for v in rows[-1].values()),
                flush=True,
            )
            number += 1
    if found := grown(rows):
        print('grown: ' + '; '.join(found))
        return 1
    judged = 'nothing grew' if len(rows) >= WARM + 4 else 'too few to see whether anything grows'
    print(f'rounds: {number}; the same bits each time, and {judged}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
