"""Kernels that are forked from a template: records like those of cold kernels, fresh random states, and nobody left whoever is killed."""
import os
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import nbformat
import pytest

from conftest import ROOT
from rock_nb.jobs.notebook_step import NotebookStep, StepFailed, execute, imports_of, kernels_for
from rock_nb.speed import kernel_template
from rock_nb.speed.kernel_template import HEAVY, warm_kernels
from waiting import marked, until

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != 'linux', reason='kernels are forked on Linux alone')]

# what shows where a kernel came from, if anything does
CELLS = [
    'import os, signal, sys, threading, multiprocessing',
    'import matplotlib, matplotlib.pyplot as plt, numpy as np, pandas as pd',
    'from tqdm.auto import tqdm',
    'os.getcwd(), os.environ["MARK"], os.environ["MPLBACKEND"], "ROCK_NB_PARENT" in os.environ',
    '[Path for Path in sys.path if "ipykernel" in Path], sys.path[0], os.path.basename(sys.argv[0]), '
    'len(sys.argv), __name__, sys.modules["__main__"].__dict__ is globals()',
    'os.getsid(0) == os.getpgrp() == os.getpid(), multiprocessing.parent_process(), '
    'sorted(t.name for t in threading.enumerate()), signal.getsignal(signal.SIGTERM)',
    'get_ipython().__class__, tqdm.__mro__[0].__module__, pd.get_option("display.max_columns"), '
    'matplotlib.get_backend(), matplotlib.is_interactive()',
    'pd.DataFrame(np.arange(60).reshape(2, 30)).add_prefix("a long column ")',
    'plt.plot([1, 2, 1]); plt.title("a figure")',
    'fig, ax = plt.subplots(figsize=(2, 1)); plt.close(fig); fig',
    'import torch; x = torch.ones(300, 300); float((x @ x).sum()), float((np.ones((300, 300)) @ np.ones((300, 300))).sum())',
    'list(torch.utils.data.DataLoader(range(4), num_workers=2, batch_size=2))',
    'print("out"); print("err", file=sys.stderr); os.system("echo of a child"); 0',
]


@pytest.fixture
def mark(monkeypatch) -> str:
    "In the environment of all that this test starts."
    monkeypatch.setenv('MARK', str(uuid.uuid4()))
    return os.environ['MARK']


@pytest.fixture
def project(tmp_path, monkeypatch, mark) -> Path:
    (tmp_path / 'nbs').mkdir()
    monkeypatch.setenv('ROCK_NB_ROOT', str(tmp_path))
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    monkeypatch.delenv('ROCK_NB_PLAIN', raising=False)
    return tmp_path


def step(project: Path, name: str, *cells: str) -> NotebookStep:
    "A step whose notebook has these cells."
    nb = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(c) for c in cells],
        metadata=dict(kernelspec=dict(name='python3', display_name='', language='python')))
    nbformat.write(nb, project / 'nbs' / f'{name}.ipynb')
    return NotebookStep(name, project / 'out' / f'{name}.ipynb', {})


def shown(s: NotebookStep) -> list:
    "The outputs of a step's record, without what differs between any two runs."
    execute(s)
    found = []
    for cell in nbformat.read(s.record, 4).cells:
        text = str(cell.outputs)
        text = re.sub(r'Thread-\d+', 'Thread-n', re.sub('0x[0-9a-f]+|[0-9a-f]{32}', 'x', text))
        found.append((cell.execution_count, text))
    return found


def test_a_record_shows_the_same(project):
    s = step(project, 'all', *CELLS)
    with warm_kernels(fast=False): cold = shown(s)
    with warm_kernels([*HEAVY, *imports_of(project / 'nbs' / 'all.ipynb')]):
        pid = kernel_template._TEMPLATES[0].process.pid
        warm = shown(s)
        # nothing runs in it that a copy could not have: jemalloc, of pyarrow, starts its own anew
        tasks = {t.read_text().strip() for t in Path(f'/proc/{pid}/task').glob('*/comm')}
        assert len(tasks - {'jemalloc_bg_thd'}) == 1
        assert shown(s) == warm
    for source, a, b in zip(CELLS, cold, warm): assert a == b, source


def test_each_kernel_draws_anew(project):
    s = step(
        project, 'draw', 'import random, numpy, torch, uuid, tempfile',
        'random.random(), numpy.random.rand(), torch.rand(1), uuid.uuid4().int, tempfile.mktemp()')
    with warm_kernels(['numpy', 'torch']):
        first, second = ([eval(o.data['text/plain'], dict(tensor=list)) for o in outputs(s)][0] for _ in 'ab')
    assert all(a != b for a, b in zip(first, second))


def outputs(s: NotebookStep) -> list:
    execute(s)
    return nbformat.read(s.record, 4).cells[-1].outputs


def test_a_killed_kernel_is_one_step_that_failed(project):
    bad = step(project, 'bad', 'import os, signal; os.kill(os.getpid(), signal.SIGKILL)')
    good = step(project, 'good', '1')
    with warm_kernels(['ipykernel.kernelapp']):
        with pytest.raises(StepFailed, match='bad out was killed'): execute(bad)
        before = kernel_template._TEMPLATES[0].process.pid
        assert outputs(good) and kernel_template._TEMPLATES[0].process.pid == before


def test_without_its_template_a_notebook_is_run_cold(project, mark, capfd):
    good = step(project, 'good', 'import os; os.getppid()')
    with warm_kernels(['ipykernel.kernelapp']):
        template = kernel_template._TEMPLATES[0]
        assert outputs(good)[0].data['text/plain'] == str(template.process.pid)
        template.process.kill()
        template.process.wait()
        for _ in 'ab': assert outputs(good)[0].data['text/plain'] == str(os.getpid())
    assert capfd.readouterr().out.count('there is no template of kernels') == 1
    assert not marked(mark)


def test_another_environment_gets_a_template_of_its_own(project, monkeypatch):
    s = step(project, 'env', 'import os; os.environ["WHO"]')
    with warm_kernels(['ipykernel.kernelapp']):
        for who in ('one', 'two'):
            monkeypatch.setenv('WHO', who)
            assert outputs(s)[0].data['text/plain'] == repr(who)
            assert kernel_template._TEMPLATES[0].environment['WHO'] == who


def test_plain_has_no_template(project, monkeypatch):
    s = step(project, 'good', '1')
    monkeypatch.setenv('ROCK_NB_PLAIN', '1')
    with kernels_for([s]): assert not kernel_template._TEMPLATES
    monkeypatch.delenv('ROCK_NB_PLAIN')
    execute(s)
    with kernels_for([s]): assert not kernel_template._TEMPLATES      # it is complete


@pytest.mark.parametrize('sent', [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_whoever_runs_notebooks_may_be_killed(project, mark, sent):
    s = step(
        project, 'long',
        'import subprocess, sys, time; p = subprocess.Popen(["sleep", "600"]); open("begun", "w"); time.sleep(600)')
    program = (
        'from pathlib import Path\nfrom rock_nb.jobs.notebook_step import NotebookStep, execute\n'
        'from rock_nb.speed.kernel_template import warm_kernels\n'
        f's = NotebookStep("long", Path({str(s.record)!r}), {{}})\nwith warm_kernels(["ipykernel.kernelapp"]): execute(s)')
    p = subprocess.Popen([sys.executable, '-c', program], stderr=subprocess.DEVNULL)
    until(lambda: (project / 'begun').exists() or p.poll() is not None)
    assert len(marked(mark)) >= 4     # the program, its template, the kernel, its child
    p.send_signal(sent)
    p.wait(120)
    until(lambda: not marked(mark), 15)
