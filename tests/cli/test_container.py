"""Dockerfile, devcontainer, Colab and `make lab`: what can be known of them without a daemon."""
import json
import os
import re
import shlex
import subprocess
import types
from configparser import ConfigParser

import nbformat
from packaging.requirements import Requirement

from conftest import ROOT

SETTINGS = ConfigParser(delimiters=['='])
SETTINGS.read(ROOT / 'settings.ini', encoding='utf-8')
CFG = SETTINGS['DEFAULT']
EXTRAS = {k.removesuffix('_requirements') for k in CFG if k.endswith('_requirements')}


def instructions() -> list[tuple[str, str]]:
    "Word and arguments of each instruction of the Dockerfile, lines that go on joined."
    text = re.sub(r'\\\n', ' ', (ROOT / 'Dockerfile').read_text())
    lines = [l for l in text.splitlines() if l.strip() and not l.startswith('#')]
    return [tuple(l.split(maxsplit=1)) for l in lines]


def known(words: list[str]):
    "Every requirement of a pip command is one of settings.ini, and every extra."
    names = {Requirement(r).name for k in CFG if k.endswith('requirements') for r in CFG[k].split()}
    for word in words:
        if word.startswith('.'):
            assert set(word[2:-1].split(',')) <= EXTRAS, word
        else:
            assert Requirement(word).name in names, word


def installed(command: str) -> list[str]:
    "What a pip command installs: the words that are no option and no option's value."
    words = shlex.split(command.partition('pip install')[2])
    values = {i + 1 for i, w in enumerate(words) if w in ('-c', '--extra-index-url')}
    return [w for i, w in enumerate(words) if i not in values and w[0] != '-']


def test_the_image_is_made_of_files_that_are_there():
    copied = [a.split()[1:] for word, a in instructions() if word == 'COPY']
    tracked = subprocess.run(
        ['git', 'ls-files'], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    let_in = [l[1:] for l in (ROOT / '.dockerignore').read_text().splitlines() if l[0] == '!']
    for *sources, _ in copied:
        for s in sources:
            assert any(t == s or t.startswith(s + '/') for t in tracked) and s in let_in, s
    needed = {'settings.ini', 'setup.py', 'pyproject.toml', 'requirements.lock', 'rock_nb', 'nbs'}
    assert needed <= {s for *sources, _ in copied for s in sources}


def test_the_image_runs_jupyterlab_as_a_user():
    found = instructions()
    word = lambda name: [a for w, a in found if w == name]
    assert word('FROM')[0].startswith('python:') and word('FROM')[0].endswith('-slim')
    assert f">={CFG['min_python']}" == '>=' + re.search(r':([\d.]+)', word('FROM')[0])[1]
    assert 'whl/cpu' in next(a for a in word('ARG') if a.startswith('TORCH_INDEX='))
    assert word('USER')[-1] == 'rocks' and json.loads(word('CMD')[-1])[:2] == ['jupyter', 'lab']
    pip = next(a for w, a in found if w == 'RUN' and 'pip install' in a)
    assert '-c requirements.lock' in pip and '$TORCH_INDEX' in pip
    assert len(installed(pip)) == 2
    known(installed(pip))


def test_the_devcontainer_is_that_image():
    given = json.loads((ROOT / '.devcontainer' / 'devcontainer.json').read_text())
    assert set(given) <= {
        'name', 'build', 'workspaceMount', 'workspaceFolder', 'remoteUser', 'runArgs',
        'forwardPorts', 'postCreateCommand', 'customizations'}
    assert set(given['build']) <= {'dockerfile', 'context', 'args', 'target'}
    assert (ROOT / '.devcontainer' / given['build']['dockerfile']).samefile(ROOT / 'Dockerfile')
    found = dict(instructions())
    assert given['remoteUser'] == found['USER'] and given['workspaceFolder'] == found['WORKDIR']
    known(installed(given['postCreateCommand']))


def test_the_first_cell_on_colab_installs_and_elsewhere_nothing(monkeypatch):
    path = 'nbs/tutorials/first_run.ipynb'
    title, first = nbformat.read(ROOT / path, 4).cells[:2]
    git = f"https://github.com/{CFG['user']}/{CFG['repo']}"
    assert f"github/{CFG['user']}/{CFG['repo']}/blob/{CFG['branch']}/{path}" in title.source
    asked = []
    monkeypatch.setattr(subprocess, 'run', lambda words, **how: asked.append(words))
    exec(first.source, {})
    assert asked == []
    monkeypatch.setitem(__import__('sys').modules, 'google.colab', types.ModuleType('google.colab'))
    exec(first.source, {})
    package = Requirement(asked[0][-1])
    assert package.name == CFG['repo'] and package.url == f'git+{git}' and package.extras <= EXTRAS


def test_root_may_open_jupyterlab(tmp_path):
    line = subprocess.run(
        ['make', '-n', 'lab'], cwd=ROOT, capture_output=True, text=True).stdout
    assert ('--allow-root' in line) == (os.geteuid() == 0) and '--notebook-dir=nbs' in line
