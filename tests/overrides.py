"""What becomes of the queue on Redis without each method of `rq` that this project writes anew: the table in docs/machines.md.

    python tests/overrides.py                            # all of them, three at once
    python tests/overrides.py RqWorker.maintain_heartbeats

Each is taken out of a copy of the project, and the tests of the queue run there until one fails, first those that are
over soon. The copy from which nothing is taken must pass. Minutes, most of which the tests wait; on a machine that has
other work to do they may fail for that alone.
"""
import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from rock_nb.jobs import rq_worker

SOURCE = 'rock_nb/jobs/rq_worker.py'
# those that show it soon, and the one that kills and kills
TESTS = ['stopped or only_slow or sleeps or words or hostile or begins', 'killed and redis']


def named(node: ast.AST) -> list[tuple[str, str, ast.AST]]:
    "Class, name and code of each method or value that a statement gives a class."
    if isinstance(node, ast.ClassDef):
        values = [(d.targets[0].id, d) for d in node.body if isinstance(d, ast.Assign)]
        found = [(d.name, d) for d in node.body if isinstance(d, ast.FunctionDef)] + values
        return [(node.name, name, d) for name, d in found]
    patches = [d for d in getattr(node, 'decorator_list', []) if isinstance(d, ast.Call)]
    return [(node.args.args[0].annotation.id, d.keywords[0].value.value, node) for d in patches]


def overrides() -> dict[str, tuple[int, int]]:
    "First and last line of each method or value of a class of rq that has another here."
    found = {}
    for node in ast.parse((ROOT / SOURCE).read_text()).body:
        for owner, name, code in named(node):
            theirs = [b for b in getattr(rq_worker, owner).__mro__ if b.__module__.startswith('rq.')]
            if any(name in vars(b) for b in theirs):
                first = min(d.lineno for d in [code, *getattr(code, 'decorator_list', [])])
                found[f'{owner}.{name}'] = first, code.end_lineno
    return found


def trial(name: str, first: int, last: int, home: Path) -> str:
    "Take lines out of a copy, and say what the tests say."
    file = home / SOURCE
    if last:
        lines = file.read_text().splitlines()
        indent = re.match(' *', lines[first - 1])[0]
        lines[first - 1:last] = [f'{indent}pass']
        file.write_text('\n'.join(lines) + '\n')
    words = ['tests/jobs/test_queue.py', '-x', '-q', '--tb=short', '-p', 'no:cacheprovider']
    for some in TESTS:
        r = subprocess.run(
            ['timeout', '-k', '30', '400', sys.executable, '-m', 'pytest', *words, '-k', some],
            cwd=home, text=True, capture_output=True, env=os.environ | dict(PYTHONPATH=str(home)))
        failed = re.findall(r'^(?:FAILED|ERROR) \S+::(.*)', r.stdout, re.M)
        if failed or r.returncode: break
    return f'{name} ({last - first + 1} lines): ' + ('; '.join(failed) or (
        'no end' if r.returncode else 'all pass'))


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('names', nargs='*')
    p.add_argument('--jobs', type=int, default=3)
    o = p.parse_args()
    known = {'nothing': (1, 0)} | overrides()
    names = o.names or list(known)
    with tempfile.TemporaryDirectory() as tmp, ThreadPoolExecutor(o.jobs) as pool:
        for n in names:    # all of them now: the project may change meanwhile
            skip = shutil.ignore_patterns('__pycache__')
            for part in ('rock_nb', 'tests'):
                shutil.copytree(ROOT / part, Path(tmp) / n / part, ignore=skip)
            for part in ('pytest.ini', 'settings.ini'): shutil.copy(ROOT / part, Path(tmp) / n)
        for said in pool.map(lambda n: trial(n, *known[n], Path(tmp) / n), names):
            print(said, flush=True)


if __name__ == '__main__': main()
