"""What the queue tests let workers do: short jobs that write down when they begin and end, and whether another of the same is at work."""
import os
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def alive(pid: int) -> bool:
    "Whether a process is there and no zombie."
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def nap(home: str, name: str, seconds: float):
    "Sleep, then leave a result in one step; what is complete is left as it is."
    folder = Path(home) / name
    folder.mkdir(parents=True, exist_ok=True)
    def note(word):
        with open(Path(home) / 'events', 'a') as f: f.write(f'{word} {name}\n')
    if (folder / 'result').exists(): return print('complete')
    # empty: it was killed while it wrote that
    if (folder / 'pid').exists() and alive(int((folder / 'pid').read_text() or 0)):
        note('clash')
    (folder / 'pid').write_text(str(os.getpid()))
    note('begin')
    time.sleep(0 if (folder / 'hurry').exists() else seconds)
    (folder / '.result').write_text('slept')
    (folder / 'pid').unlink()
    os.rename(folder / '.result', folder / 'result')
    note('end')


def nap_job(home: Path, name: str, seconds: float = 0.1, **more):
    "A job that naps."
    from rock_nb.jobs.job import new_job
    return new_job('nap', dict(home=str(home), name=name, seconds=seconds), **more)


def register():
    "Make naps a kind of job."
    from rock_nb.jobs.job import KINDS, Kind
    command = lambda g: [
        'setpriv', '--pdeathsig', 'KILL', sys.executable, '-S', '-E', str(FOLDER / 'naps.py'),
        g['home'], g['name'], str(g['seconds'])]
    KINDS['nap'] = Kind(
        check=lambda g: g, folder=lambda g: Path(g['home']) / g['name'], command=command,
        result=lambda folder: dict(said=(folder / 'result').read_text()))


def work(queue: dict, mode: str, log: str, **env):
    "A worker, in a process of its own."
    os.environ |= env
    for fd in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), fd)
    from rock_nb.jobs.worker import Worker
    from rock_nb.queue import open_queue
    register()
    print(
        Worker(open_queue(**queue), mode, lambda *words: print(*words, flush=True)).run(),
        flush=True)


if __name__ == '__main__': nap(sys.argv[1], sys.argv[2], float(sys.argv[3]))
