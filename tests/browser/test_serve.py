"""The page of `rock_nb.serve` in a headless browser, and its endpoint beside it: photographs, folders and zip files in, answers, corrections and CSV out; nothing is asked of another machine, no file of this one is given away."""
import csv
import io
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile

import cv2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

from conftest import ROOT, TINY
from heic import HELD
from rock_nb.core import Run
from rock_nb.data.tabular import read_text
from rock_nb.predict import predict_images
from rock_nb.train import fit

BROWSER = next(
    filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
FLAGS = [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync']
SEEN = os.environ.get('ROCK_NB_SCREENSHOTS')

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.slow]


@pytest.fixture(scope='module')
def run(sample, tmp_path_factory) -> Run:
    return fit(
        **TINY, epochs=1, workers=0, valid=.5, data=sample, out=tmp_path_factory.mktemp('served'),
        run='tiny', show=lambda *a: None)


@pytest.fixture(scope='module')
def photographs(sample, tmp_path_factory):
    "Files of many kinds in a folder of their own, one of them none, and a zip file."
    folder = tmp_path_factory.mktemp('photographs') / 'walk'
    folder.mkdir()
    known = sorted((sample / 'test').glob('*.jpg'))[:3]
    for i, f in enumerate(known): shutil.copy(f, folder / f'{i}.jpg')
    turned, exif = Image.open(known[0]), Image.Exif()
    exif[274] = 6
    turned.rotate(90, expand=True).save(folder / 'turned.jpg', exif=exif)
    turned.convert('CMYK').save(folder / 'cmyk.jpg')
    turned.save(folder / 'modern.avif')
    cv2.imwrite(str(folder / 'deep.png'), np.asarray(turned)[..., ::-1].astype(np.uint16)*257)
    (folder / 'phone.HEIC').write_bytes(HELD)
    (folder / 'broken.jpg').write_bytes(b'no picture')
    (folder / 'notes.txt').write_text('not a photograph')
    with zipfile.ZipFile(folder.parent / 'some.zip', 'w', zipfile.ZIP_DEFLATED) as z:
        for i, f in enumerate(known[:2]): z.write(f, f'inside/{i}.jpg')
        z.writestr('read me.txt', 'not a photograph')
    return folder


@pytest.fixture(scope='module')
def address(run, tmp_path_factory) -> str:
    "The page's address, as the program says it on the terminal."
    log = open(tmp_path_factory.mktemp('log') / 'serve.log', 'w+')
    server = subprocess.Popen(
        [sys.executable, '-m', 'rock_nb.serve', '--run', str(run.path), '--port', '0'],
        cwd=ROOT, stdout=log, stderr=log)
    try:
        end = time.time() + 90
        while ' answers on ' not in (said := open(log.name).read()):
            assert time.time() < end and server.poll() is None, said
            time.sleep(.1)
        yield said.split(' answers on ')[1].split(';')[0]
    finally:
        server.send_signal(2)
        server.wait(20)
    assert 'Traceback' not in open(log.name).read()


def ask(address: str, body: bytes | None = None, **headers) -> tuple[int, dict]:
    "The status and what is said, also of a refusal."
    request = urllib.request.Request(address, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer: return answer.status, json.load(answer)
    except urllib.error.HTTPError as e: return e.code, json.load(e)


def test_the_endpoint_says_what_predict_says(run, address, photographs):
    files = sorted(f for f in photographs.iterdir() if f.suffix != '.txt' and f.stem != 'broken')
    wanted = predict_images(run, files, workers=0)
    for f, p in zip(files, wanted.probs):
        status, said = ask(f'{address}api/predict?name={f.name}', f.read_bytes())
        assert status == 200 and said['answers'][0]['file'] == f.name
        assert np.allclose(list(said['answers'][0]['probabilities'].values()), p, atol=1e-5), f.name
        assert {'calibrated', 'set', 'unlike'} <= set(said['answers'][0])


def test_what_is_refused_and_no_file_of_the_machine_is_served(run, address, photographs, tmp_path):
    status, said = ask(f'{address}api/predict?name=broken.jpg', b'no picture')
    assert status == 400 and 'broken.jpg' in said['error'] and '/tmp' not in said['error']
    large = io.BytesIO()
    Image.new('1', (12_000, 9_000)).save(large, format='PNG')
    status, said = ask(f'{address}api/predict', large.getvalue())
    assert status == 413 and '108 megapixels; 100 are the most' in said['error']
    status, said = ask(f'{address}api/predict', bytes(51*10**6))
    assert status == 413 and '51 MB' in said['error']
    (tmp_path / 'secret.txt').write_text('harmless')
    for place in (f'gradio_api/file={tmp_path}/secret.txt', f'file={tmp_path}/secret.txt', 'docs',
                  f'..{tmp_path}/secret.txt', f'page/..%2f..{tmp_path}/secret.txt', 'index.html'):
        status, said = ask(address + place)
        assert status == 404 and 'harmless' not in str(said), place
    assert ask(f'{address}api/health', Host='evil.example')[0] == 403
    assert ask(f'{address}api/correct', b'x', Origin='http://evil.example')[0] == 403
    assert ask(f'{address}api/health')[1]['run'] == 'tiny'


@pytest.fixture(scope='module')
def browser():
    if BROWSER is None: (pytest.fail if os.environ.get('CI') else pytest.skip)('no Chromium or Chrome')
    with sync_playwright() as p:
        found = p.chromium.launch(executable_path=BROWSER, headless=True, args=FLAGS)
        yield found
        found.close()


def drop(page, file):
    "Let a file fall onto the page."
    data = page.evaluate_handle(
        '''([bytes, name]) => {
            const data = new DataTransfer()
            data.items.add(new File([new Uint8Array(bytes)], name, {type: 'image/jpeg'}))
            return data
        }''', [list(file.read_bytes()), file.name])
    page.dispatch_event('#drop', 'drop', dict(dataTransfer=data))


@pytest.mark.parametrize('width', [1280, 390])
def test_the_page(run, address, photographs, browser, width, tmp_path):
    page = browser.new_page(viewport=dict(width=width, height=900), accept_downloads=True)
    said, asked = [], []
    page.on('console', lambda m: said.append(m.text))
    page.on('pageerror', lambda e: said.append(str(e)))
    page.on('request', lambda r: asked.append(r.url))
    page.goto(address)
    page.wait_for_selector('#about:has-text("The run tiny tells")')
    page.set_input_files('#folder', photographs)
    page.wait_for_selector('#count:has-text("9 answered")')          # without the notes
    assert page.inner_text('#notice').endswith('walk/notes.txt.')
    phone = page.locator('.card:has-text("phone.HEIC") img')         # which no Chromium shows by itself
    assert phone.evaluate('i => i.naturalHeight > i.naturalWidth && i.naturalWidth > 0')
    page.set_input_files('#files', photographs.parent / 'some.zip')
    page.wait_for_selector('#count:has-text("11 answered")')
    page.set_input_files('#files', photographs / 'broken.jpg')
    page.wait_for_selector('#count:has-text("12 answered")')
    assert page.locator('.card.failed').count() == 2
    drop(page, photographs / '2.jpg')
    page.wait_for_selector('#count:has-text("13 answered")')
    assert page.locator('.card:not(.failed) h2').all_inner_texts()[0] != 'waiting …'
    first = page.locator('.card:not(.failed)').first
    first.locator('summary').click()
    first.locator('.similar').wait_for()
    assert first.locator('.similar img').count() == 5
    assert not page.evaluate('() => document.documentElement.scrollWidth > innerWidth')
    page.fill('#who', 'Kim')
    first.locator('select').select_option('none of these')
    first.locator('.said:has-text("Kept: none of these")').wait_for()
    with page.expect_download() as download: page.click('#csv')
    rows = list(csv.DictReader(open(download.value.path(), encoding='utf-8')))
    if SEEN: page.screenshot(path=f'{SEEN}/serve-{width}.png', full_page=True)
    page.close()
    assert said == [] and {u.split('/api')[0] for u in asked if not u.startswith('data:')} <= {
        address, address[:-1], f'{address}page.css', f'{address}page.js'}
    assert len(rows) == 13 and sum(bool(r['error']) for r in rows) == 2
    assert [r['correction'] for r in rows if r['correction']] == ['none of these']
    assert {r['file'] for r in rows} >= {'walk/0.jpg', 'some.zip/inside/1.jpg'}
    kept = read_text(run.path / 'corrections' / 'corrections.csv').iloc[-1]
    assert (kept.who, kept.correction, kept.run) == ('Kim', '', 'tiny')
    assert (run.path / 'corrections' / kept.image).exists()
