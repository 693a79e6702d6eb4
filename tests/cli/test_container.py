"""Dockerfile, devcontainer, Kubernetes, Colab and `make lab`: what can be known of them without a daemon."""
import json
import os
import re
import shlex
import subprocess
import types
from configparser import ConfigParser

import kubernetes_validate
import nbformat
import yaml
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


def test_the_job_of_kubernetes_is_one():
    "By its published schema, to which nothing may be added; its names and words are right."
    from rock_nb.train import check_given, command_line, given_options
    service, job = yaml.safe_load_all((ROOT / 'docs' / 'kubernetes.yaml').read_text())
    for d in service, job: kubernetes_validate.validate(d, '1.37', strict=True)
    name, pod = job['metadata']['name'], job['spec']['template']['spec']
    assert service['spec']['selector'] == {'job-name': name} and pod['subdomain'] == (
        service['metadata']['name'])
    container = pod['containers'][0]
    assert container['command'][:3] == ['python', '-m', 'rock_nb.train']
    words = container['command'][3:]
    given = given_options(command_line(), words)
    check_given({n: v for n, v in given.items() if n != 'data'})    # which lies in the cluster
    first, port = f"{name}-0.{pod['subdomain']}", service['spec']['ports'][0]['port']
    assert given['rdzv'] == f'{first}:{port}' and first in pod['initContainers'][0]['command'][-1]
    assert given['nnodes'] == job['spec']['completions'] == job['spec']['parallelism']
    mounted = {m['mountPath'] for m in container['volumeMounts']}
    assert {given['data'], given['out'], '/dev/shm'} == mounted
    assert {m['name'] for m in container['volumeMounts']} == {v['name'] for v in pod['volumes']}


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
