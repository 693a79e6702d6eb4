"""How the source reads: widths, statements, the length of cells, names, and where comments of arguments stand.

A limit of `LIMITS` may fall and never rise.
"""
import ast
import importlib
import inspect
import json
import math
import re
import subprocess
import sys
from collections import defaultdict

from fastcore.docments import docments

from conftest import ROOT

LIMITS = dict(
    ruff=0,                    # findings of the rules in ruff.toml
    tall_cells=0,              # exported cells over 30 lines at 100 columns
    bare_runs=0,               # more than five exported cells in a row without any other code between
    misplaced_comments=0,      # comments of an argument that are read as the return value
    public_names=250,          # in `__all__` of all modules
    untyped_arguments=0,       # of every function, nested ones too
    names_twice=0,             # functions and classes of one name in several modules
)
LINES, COLUMNS = 30, 100
# programs; the front door's functions, which hand on to those of their notebooks; names in two registries
TWICE = {'main', 'command_line', 'Run', 'ensemble', 'fit', 'v1', 'v2'}
TALL = ('class Recipe:', 'class Options:')    # one field a line
MODULES = sorted(p for p in (ROOT / 'rock_nb').rglob('*.py') if p.name != '_modidx.py')


def check(what: str, found: list):
    assert len(found) <= LIMITS[what], (
        f'{len(found)} {what.replace("_", " ")}, {LIMITS[what]} are allowed:\n' + '\n'.join(found))


def test_ruff():
    done = subprocess.run(
        [
            sys.executable, '-m', 'ruff', 'check', '--output-format', 'concise', '--no-cache',
            'rock_nb'],
        cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    check('ruff', [line for line in done.stdout.splitlines() if re.search(r':\d+:\d+: ', line)])


def test_cells_are_short():
    found = []
    for p in sorted((ROOT / 'nbs').rglob('*.ipynb')):
        if '.ipynb_checkpoints' in p.parts: continue
        for cell in json.loads(p.read_text(encoding='utf-8'))['cells']:
            source = ''.join(cell['source'])
            if cell['cell_type'] != 'code' or not re.search(r'^#\|\s*export', source, re.M):
                continue
            if not re.search(r'^(def|class|@)', source, re.M) or any(t in source for t in TALL):
                continue
            lines = [l for l in source.splitlines() if l.strip() and not l.strip().startswith('#|')]
            n = sum(math.ceil(len(l.rstrip()) / COLUMNS) for l in lines)
            if n > LINES:
                found.append(f'{p.relative_to(ROOT)}: {n} lines: {lines[0]}')
    check('tall_cells', found)


def public():
    "Names that modules list, with the module."
    for p in MODULES:
        tree = ast.parse(p.read_text(encoding='utf-8'))
        names = next(
            (ast.literal_eval(n.value) for n in tree.body
             if isinstance(n, ast.Assign) and getattr(n.targets[0], 'id', '') == '__all__'), [])
        parts = p.relative_to(ROOT).with_suffix('').parts
        for name in names: yield '.'.join(parts).removesuffix('.__init__'), name


def test_a_demonstration_comes_before_long():
    found = []
    for file in sorted((ROOT / 'nbs').rglob('*.ipynb')):
        if '.ipynb_checkpoints' in file.parts: continue
        row = []
        for cell in json.loads(file.read_text(encoding='utf-8'))['cells']:
            source = ''.join(cell['source'])
            exported = source.startswith('#| export')
            if exported and re.search(r'^(def|class|@)', source, re.M): row.append(cell['id'])
            elif cell['cell_type'] == 'code' and not exported: row = []
            if len(row) == 6: found.append(f'{file.relative_to(ROOT)}: from {row[0]} to {row[-1]}')
    check('bare_runs', found)


def test_few_names_are_public():
    check('public_names', [f'{module}.{name}' for module, name in public()])


def test_no_name_stands_for_two_things():
    where = defaultdict(set)
    for p in MODULES:
        for n in ast.parse(p.read_text(encoding='utf-8')).body:
            method = any(
                ast.unparse(d).startswith('patch') for d in getattr(n, 'decorator_list', ()))
            if method: continue      # of the class that is patched
            if (
                isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
                and n.name[0] != '_'
            ):
                where[n.name].add(str(p.relative_to(ROOT)))
    check(
        'names_twice',
        [f'{n}: {", ".join(sorted(w))}' for n, w in sorted(where.items()) if len(w) > 1 and n not in TWICE])


def test_every_argument_has_a_type():
    found = []
    for p in MODULES:
        for n in ast.walk(ast.parse(p.read_text(encoding='utf-8'))):
            if not isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)): continue
            for a in n.args.posonlyargs + n.args.args + n.args.kwonlyargs:
                if a.annotation is None and a.arg not in ('self', 'cls'):
                    found.append(f'{p.relative_to(ROOT)}:{n.lineno}: {a.arg} of {n.name}')
    check('untyped_arguments', found)


def functions(module: str, name: str):
    "A public function, or the methods of a public class."
    thing = getattr(importlib.import_module(module), name)
    if inspect.isfunction(thing): yield name, thing
    if inspect.isclass(thing):
        yield from ((f'{name}.{k}', v) for k, v in vars(thing).items() if inspect.isfunction(v))


def test_comments_stand_with_their_arguments():
    found = set()
    for module, name in public():
        for label, f in functions(module, name):
            try: said = docments(f, full=True)['return'].get('docment') or ''
            except (OSError, TypeError, SyntaxError): continue    # made by a program: it has no source
            if any(
                re.match(rf'{re.escape(a)}\b\s*:', said) for a in inspect.signature(f).parameters
            ):
                found.add(f'{module}.{label}: {said}')
    check('misplaced_comments', sorted(found))
