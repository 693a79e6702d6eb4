"""JupyterLab in a headless browser: 03_train is opened, all is run, and the plot is seen to change between epochs; 07_dashboard is seen to follow a job."""
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from playwright.sync_api import sync_playwright

from conftest import ROOT, TINY
from rock_nb.core import Run
from rock_nb.queue import open_queue, publish

BROWSER = next(
    filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
FLAGS = [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync']
EPOCHS = 5
CELLS = (
    "[...document.querySelectorAll('.jp-CodeCell')].filter(c => c.innerText.includes('history = "
    "train(plan)'))")
PLOTS = CELLS + ".flatMap(c => [...c.querySelectorAll('.jp-OutputArea img')]).map(i => i.src)"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        BROWSER is None and not os.environ.get('CI'),
        reason='no Chromium or Chrome on this machine; CI has one')]


def settled(name: str, given: dict, folder):
    "A copy of a notebook without outputs, with these parameters."
    nb = nbformat.read(ROOT / 'nbs' / f'{name}.ipynb', 4)
    for c in nb.cells: c.get('outputs', []).clear()
    cell = next(c for c in nb.cells if 'parameters' in c.metadata.get('tags', []))
    cell.source += ''.join(f'\n{k} = {v!r}' for k, v in given.items())
    nbformat.write(nb, folder / f'{name}.ipynb')


@pytest.fixture
def lab(tmp_path, sample):
    """A JupyterLab server on a free loopback port, over a folder that holds copies of 03_train and
    07_dashboard with small parameters."""
    (tmp_path / 'lab').mkdir()
    settled(
        '03_train',
        {
            **TINY, 'epochs': EPOCHS, 'data': str(sample), 'out': str(tmp_path / 'runs'),
            'run': 'seen', 'workers': 0},
        tmp_path / 'lab')
    settled(
        '07_dashboard', dict(queue=str(tmp_path / 'queue'), out=str(tmp_path / 'runs'), every=0.5),
        tmp_path / 'lab')
    options = [
        '--no-browser', '--ip=127.0.0.1', '--port=0', '--IdentityProvider.token=',
        '--ServerApp.allow_root=True', '--LabApp.news_url=None',
        '--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate']
    # all cells are in the page, not only those in view
    settings = (
        tmp_path / 'settings' / '@jupyterlab' / 'notebook-extension' / 'tracker.jupyterlab-settings'
    )
    settings.parent.mkdir(parents=True)
    settings.write_text('{"windowingMode": "none"}')
    log = open(tmp_path / 'lab.log', 'w+')
    env = {
        **os.environ, 'JUPYTERLAB_SETTINGS_DIR': str(tmp_path / 'settings'),
        'JUPYTER_CONFIG_DIR': str(tmp_path / 'config'),
        'JUPYTER_RUNTIME_DIR': str(tmp_path / 'runtime'), 'JUPYTER_PREFER_ENV_PATH': '1'}
    server = subprocess.Popen(
        [sys.executable, '-m', 'jupyterlab', *options], cwd=tmp_path / 'lab', stdout=log,
        stderr=log, start_new_session=True, env=env)
    try: yield address(tmp_path / 'lab.log', server)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try: server.wait(20)
        except subprocess.TimeoutExpired: os.killpg(server.pid, signal.SIGKILL)


def address(log, server, seconds=90) -> str:
    "The server's URL, once it answers."
    end = time.time() + seconds
    while time.time() < end and server.poll() is None:
        urls = [w for w in log.read_text().split() if w.startswith('http://127.0.0.1')]
        if urls:
            base = urls[0].split('/lab')[0]
            try:
                urllib.request.urlopen(f'{base}/api/status', timeout=5)
                return base
            except OSError:
                pass
        time.sleep(.3)
    raise AssertionError(f'JupyterLab did not start: {log.read_text()[-2000:]}')


def choose_kernel(page):
    "JupyterLab may ask which kernel to use; the one it offers is right."
    try: page.click('.jp-Dialog button.jp-mod-accept', timeout=5000)
    except PlaywrightTimeout: pass


def run_all(p, url: str):   # browser, page
    "Open a notebook and run all of its cells."
    browser = p.chromium.launch(executable_path=BROWSER, headless=True, args=FLAGS)
    page = browser.new_page(viewport=dict(width=1300, height=1000))
    page.goto(url, timeout=90_000)
    page.wait_for_selector('.jp-Notebook', timeout=90_000)
    choose_kernel(page)
    page.wait_for_selector(
        '.jp-NotebookPanel .jp-Notebook-ExecutionIndicator[data-status="idle"]', timeout=90_000)
    page.click('.lm-MenuBar-itemLabel:text-is("Run")')
    page.click('.lm-Menu-itemLabel:text-is("Run All Cells")')
    return browser, page


def test_the_plot_is_seen_to_change(lab, tmp_path):
    assert BROWSER, 'CI must have a browser: .ci/run installs chromium'
    run, seen = Run(tmp_path / 'runs' / 'seen'), []
    with sync_playwright() as p:
        browser, page = run_all(p, f'{lab}/lab/tree/03_train.ipynb')
        end = time.time() + 240
        while time.time() < end and not run.done:
            for src in page.evaluate(PLOTS):
                if src not in seen: seen.append(src)
            if not seen: page.evaluate(CELLS + '.forEach(c => c.scrollIntoView())')
            time.sleep(.1)
        if folder := os.environ.get('ROCK_NB_SCREENSHOTS'):
            page.screenshot(path=f'{folder}/lab.png')
        browser.close()
    assert run.done, (tmp_path / 'lab.log').read_text()[-3000:]
    assert len(seen) >= 3, f'the plot was seen in {len(seen)} states over {EPOCHS} epochs'


def test_the_dashboard_shows_a_job_moving(lab, sample, tmp_path, monkeypatch):
    assert BROWSER, 'CI must have a browser: .ci/run installs chromium'
    monkeypatch.setenv('ROCK_QUEUE_PATHS', str(tmp_path.parent.parent))
    queue = open_queue(folder=tmp_path / 'queue')
    [job] = publish(
        queue,
        **{
            **TINY, 'epochs': 3, 'workers': 0, 'data': str(sample),
            'out': str(tmp_path / 'runs'), 'run': 'watched'})
    at = '.rock-dashboard'
    log = open(tmp_path / 'worker.log', 'w')
    seen = []
    worker = None
    curves = set()
    try:
        with sync_playwright() as p:
            browser, page = run_all(p, f'{lab}/lab/tree/07_dashboard.ipynb')
            page.wait_for_selector(at, timeout=90_000)
            end = time.time() + 90
            while time.time() < end and (not seen or seen[-1] != '1 done'):
                text = page.inner_text(at)
                said = next(
                    (
                        line for line in text.splitlines()
                        if line in ('1 waiting', '1 running', '1 done')),
                    None)
                if said and seen[-1:] != [said]: seen.append(said)
                curves |= set(page.eval_on_selector_all(f'{at} img', 'all => all.map(i => i.src)'))
                if seen and not worker:
                    worker = subprocess.Popen(
                        [
                            sys.executable, '-m', 'rock_nb.queue', 'work', '--mode', 'once',
                            '--folder', str(queue.home)],
                        stdout=log, stderr=log)
                time.sleep(.1)
            page.wait_for_function(
                f"document.querySelector('{at}').innerText.includes('3 of 3')", timeout=10_000)
            page.eval_on_selector(at, 'e => e.scrollIntoView()')
            if folder := os.environ.get('ROCK_NB_SCREENSHOTS'):
                page.screenshot(path=f'{folder}/dashboard.png')
            assert page.locator(at).count() == 1               # replaced, not added to
            browser.close()
    finally:
        if worker:
            worker.terminate()
            worker.wait(20)
    assert seen == ['1 waiting', '1 running', '1 done'], (
        seen, (tmp_path / 'worker.log').read_text()[-2000:])
    assert job.id in text and len(curves) >= 2 and Run(tmp_path / 'runs' / 'watched').done
