"""Runs as folders for others: loaded by timm in a process without this package, by ONNX Runtime, by this package, and on the hub."""
import base64
import json
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from huggingface_hub import HfApi, ModelCard

from conftest import ATTRIBUTES, QUICK, shell
from rock_nb import core
from rock_nb.core import BadInput, Run
from rock_nb.data.files import list_images
from rock_nb.ensemble import ensemble
from rock_nb.export import export_run, main
from rock_nb.predict import load_network, predict_images
from rock_nb.train import fit


@pytest.fixture(scope='module')
def out(sample, tmp_path_factory):
    "Runs of several kinds, a vote among them."
    out = tmp_path_factory.mktemp('export') / 'runs'
    code = out.parent / 'attributes.py'
    code.write_text(ATTRIBUTES)
    given = dict(data=sample, out=out)
    fit(**QUICK, **given, run='plain', tta='hflip', resize_mode='stretch', ema=0.9)
    fit(**QUICK, **given, run='root', head='root')
    fit(**{**QUICK, 'arch': 'test_resnet+test_vit'}, **given, run='two')
    fit(**{**QUICK, 'img_size': '32,48', 'arch': 'test_vit'}, **given, run='oblong', resize_mode='crop')
    fit(
        **QUICK, data=sample / 'train', out=out, run='heads', target='heads',
        label=f'{code}:label')
    ensemble('plain,root', '1,3', out=out)
    return out


def alone(code: str, cwd) -> str:
    "What a Python program prints that cannot import this package."
    hidden = "import sys; sys.modules['rock_nb'] = None\n"
    done = subprocess.run(
        [sys.executable, '-c', hidden + code], cwd=cwd, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


LOGITS = '''
import numpy as np, timm, torch
from timm.data import resolve_model_data_config
model = timm.create_model('local-dir:.', pretrained=True).eval()
model = model.to(memory_format=torch.channels_last)
with torch.inference_mode():
    np.save('../logits.npy', model(torch.from_numpy(np.load('../x.npy'))).numpy())
print(resolve_model_data_config(model), model.pretrained_cfg['label_names'])
'''


@pytest.mark.parametrize('name', ['plain', 'oblong'])
def test_timm_answers_the_same_to_the_bit(name, out, tmp_path):
    export_run(name, tmp_path / 'm', onnx=False, runs=out)
    n = load_network(name, out, 'cpu')
    x = torch.randn(3, 3, *n.size, generator=torch.manual_seed(1))
    np.save(tmp_path / 'x.npy', x.numpy())
    said = alone(LOGITS, tmp_path / 'm')
    with torch.inference_mode(): expected = n.model(x).numpy()
    np.testing.assert_array_equal(np.load(tmp_path / 'logits.npy'), expected)
    mode = dict(plain='squash', oblong='center')[name]
    assert f"'input_size': (3, {n.size[0]}, {n.size[1]})" in said and f"'crop_mode': '{mode}'" in said
    assert str(list(n.classes)) in said or str(n.classes) in said


def test_heads_of_attributes_become_one(out, tmp_path):
    export_run('heads', tmp_path / 'm', onnx=False, runs=out)
    n = load_network('heads', out, 'cpu')
    x = torch.randn(3, 3, *n.size, generator=torch.manual_seed(1))
    np.save(tmp_path / 'x.npy', x.numpy())
    alone(LOGITS, tmp_path / 'm')
    with torch.inference_mode(): expected = n.model(x).softmax(1).numpy()
    found = torch.from_numpy(np.load(tmp_path / 'logits.npy')).softmax(1).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.processes
@pytest.mark.parametrize('name', ['root', 'two'])
def test_what_timm_has_not_is_loaded_by_nobody_else(name, out, sample, tmp_path, capsys):
    folder = export_run(name, tmp_path / 'm', onnx=False, runs=out)
    assert 'timm does not load this folder' in capsys.readouterr().out
    said = alone(
        "import timm\ntry: timm.create_model('local-dir:.', pretrained=True)\n"
        'except RuntimeError as e: print(e)', folder)
    assert said.startswith('Unknown model (')
    card = ModelCard.load(folder / 'README.md')
    assert card.data.library_name == 'rock_nb' and 'does not load this folder, for it' in card.text
    shutil.copy(sample / 'test' / list_images(sample / 'test')[0], folder / 'photo.jpg')
    [said] = alone('\n'.join(re.findall(r'```python\n(.*?)```', card.text, re.S)), folder).splitlines() or ['']
    if name == 'two': assert said == ''
    else:
        p = predict_images(folder, [folder / 'photo.jpg'], tta='none', workers=0)
        found = json.loads(said.replace("'", '"'))
        assert list(found) == list(p.classes)
        np.testing.assert_allclose(list(found.values()), p.probs[0], atol=2e-3)


@pytest.mark.parametrize('name', ['plain', 'root', 'two', 'oblong', 'heads'])
def test_the_folder_answers_like_the_run(name, out, sample, tmp_path):
    folder = export_run(name, tmp_path / 'elsewhere' / 'm', onnx=False, runs=out)
    files = [sample / 'test' / f for f in list_images(sample / 'test')[:5]]
    before, after = (predict_images(r, files, workers=0, amp='none') for r in (out / name, folder))
    np.testing.assert_allclose(after.probs, before.probs, atol=1e-6)
    assert after.views == before.views and after.classes == before.classes
    np.testing.assert_allclose(after.distances, before.distances, atol=1e-6)
    assert after.conformal == before.conformal


@pytest.mark.processes
def test_the_code_of_the_card_runs(out, sample, tmp_path):
    folder = export_run('plain', tmp_path / 'm', license='CC BY 4.0', runs=out)
    shutil.copy(sample / 'test' / list_images(sample / 'test')[0], folder / 'photo.jpg')
    card = ModelCard.load(folder / 'README.md')
    assert card.data.license == 'cc-by-4.0' and card.data.eval_results[0].metric_type == 'f1'
    code = '\n'.join(re.findall(r'```python\n(.*?)```', card.text, re.S))
    by_timm, by_onnx = (json.loads(line.replace("'", '"')) for line in alone(code, folder).splitlines())
    p = predict_images(folder, [folder / 'photo.jpg'], tta='none', workers=0)
    for found in (by_timm, by_onnx):
        assert list(found) == list(p.classes)
        np.testing.assert_allclose(list(found.values()), p.probs[0], atol=2e-3)
    kept = {f.name for f in folder.iterdir()} - {'photo.jpg', 'README.md'}
    assert all(f'`{name}`: ' in card.text for name in kept)


def test_no_path_of_this_machine_leaves_it(out, sample, tmp_path):
    code = tmp_path / 'mine.py'
    code.write_text(
        'from torch.nn import functional as F\n'
        'def own(logits, labels, *_): return F.cross_entropy(logits, labels, reduction="none")\n')
    fit(
        **{**QUICK, 'pretrained': str(out / 'plain' / 'best.safetensors')}, data=sample,
        out=tmp_path / 'runs', run='own', loss=f'{code}:own')
    folder = export_run('own', tmp_path / 'm', onnx=False, runs=tmp_path / 'runs')
    code.unlink()
    for f in folder.iterdir():
        assert str(tmp_path).encode() not in f.read_bytes() and str(out).encode() not in f.read_bytes(), f
    assert 'loss `mine.py:own`' in (folder / 'README.md').read_text()
    load_network(folder, device='cpu')


def test_refused(out, tmp_path):
    with pytest.raises(BadInput, match='made of several .*python -m rock_nb.predict --run ensemble --onnx'):
        export_run('ensemble', tmp_path / 'm', runs=out)
    half = tmp_path / 'runs' / 'half'
    shutil.copytree(out / 'plain', half)
    Run(half).metrics.unlink()
    with pytest.raises(BadInput, match="no complete run 'half'"):
        export_run('half', tmp_path / 'm', runs=half.parent)
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'notes.txt').write_text('mine')
    with pytest.raises(BadInput, match='holds something else already'):
        export_run('plain', tmp_path / 'mine', runs=out)
    export_run('plain', tmp_path / 'm', onnx=False, runs=out)
    with pytest.raises(BadInput, match='holds something else already'):
        export_run('root', tmp_path / 'm', runs=out)
    with pytest.raises(BadInput, match='was exported already'):
        export_run(tmp_path / 'm', tmp_path / 'again')
    before = sorted(tmp_path.iterdir())
    Run(tmp_path / 'runs2' / 'bad').path.parent.mkdir()
    shutil.copytree(out / 'plain', tmp_path / 'runs2' / 'bad')
    Run(tmp_path / 'runs2' / 'bad').best.write_bytes(b'no weights')
    with pytest.raises(BadInput, match='do not fit the recipe'):
        export_run('bad', tmp_path / 'bad', runs=tmp_path / 'runs2')
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / 'runs2']), 'nothing is left behind'


class Hub(BaseHTTPRequestHandler):
    "The few endpoints that the hub's client needs to make a repository and bring files there."
    kept = {}        # path -> bytes
    private = True
    refuse = None    # status, sentence, what is in the addresses ('': all)

    def log_message(self, *args): pass

    def answer(self, body: object, status: int = 200):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.refuse and not self.refuse[2]:
            return self.answer(dict(error=self.refuse[1]), self.refuse[0])
        files = [dict(rfilename=name) for name in self.kept]
        if '/tree/' in self.path:
            return self.answer([dict(type='file', path=n, size=1, oid='0') for n in self.kept])
        self.answer(dict(id='me/rocks', sha='0'*40, private=self.private, siblings=files))

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length'] or 0))
        if self.refuse and self.refuse[2] in self.path:
            return self.answer(dict(error=self.refuse[1]), self.refuse[0])
        if self.path == '/api/repos/create':
            Hub.asked = json.loads(body)
            return self.answer(dict(url='https://huggingface.co/me/rocks', name='me/rocks'))
        if self.path == '/api/validate-yaml': return self.answer(dict(errors=[], warnings=[]))
        if '/preupload/' in self.path:
            files = json.loads(body)['files']
            return self.answer(dict(files=[
                dict(path=f['path'], uploadMode='regular', shouldIgnore=False) for f in files]))
        for line in map(json.loads, body.splitlines()):
            value = line['value']
            if line['key'] == 'file': self.kept[value['path']] = base64.b64decode(value['content'])
            if line['key'] == 'deletedFile': del self.kept[value['path']]
        self.answer(dict(
            success=True, commitOid='1'*40, commitUrl='https://huggingface.co/me/rocks/commit/1', hookOutput=''))


@pytest.fixture
def hub():
    "A hub on this machine: its address."
    Hub.kept, Hub.private, Hub.refuse = {'model.onnx': b'of before', 'notes.md': b'mine'}, True, None
    server = ThreadingHTTPServer(('127.0.0.1', 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()


def test_pushed(out, hub, tmp_path):
    client = HfApi(endpoint=hub, token='hf_toy')
    folder = export_run('plain', tmp_path / 'm', push='rocks', onnx=False, runs=out, client=client)
    assert Hub.asked['name'] == 'rocks' and (Hub.asked.get('private') or Hub.asked.get('visibility') == 'private')
    assert Hub.kept.pop('notes.md') == b'mine', 'what else lies there stays'
    assert Hub.kept == {f.name: f.read_bytes() for f in folder.iterdir()}
    assert b"'hf-hub:me/rocks'" in Hub.kept['README.md']
    Hub.private = False
    with pytest.raises(BadInput, match='everybody can read the repository me/rocks'):
        export_run('plain', tmp_path / 'm', push='rocks', onnx=False, runs=out, client=client)
    export_run('plain', tmp_path / 'm', push='rocks', public=True, onnx=False, runs=out, client=client)


def test_the_hub_refuses(out, hub, tmp_path):
    client = HfApi(endpoint=hub, token='hf_toy')
    Hub.refuse = 401, 'Invalid username or password.', ''
    with pytest.raises(BadInput, match=r'did not take rocks \(.*; log in with `hf auth login`') as e:
        export_run('plain', tmp_path / 'm', push='rocks', runs=out, client=client)
    assert '\n' not in str(e.value) and not (tmp_path / 'm').exists(), 'said before the work'
    Hub.refuse = 403, 'You may read here.', '/commit/'
    with pytest.raises(BadInput, match=r'You may read here\); give a token .*; .*/m is written') as e:
        export_run('plain', tmp_path / 'm', push='rocks', onnx=False, runs=out, client=client)
    assert '\n' not in str(e.value) and (tmp_path / 'm' / 'README.md').exists()
    nobody = HfApi(endpoint='http://127.0.0.1:9', token='hf_toy')
    with pytest.raises(BadInput, match='see that this machine is online'):
        export_run('plain', tmp_path / 'm', push='rocks', runs=out, client=nobody)


@pytest.mark.processes
def test_shell(out, hub, tmp_path):
    words = ['plain', '--runs', out.name, '--out', tmp_path / 'm', '--no_onnx', '--push', 'me/rocks']
    known = dict(HF_ENDPOINT=hub, HF_TOKEN='hf_toy', HF_HOME=str(tmp_path / 'hf'), HF_HUB_OFFLINE='0')
    r = shell(sys.executable, '-m', 'rock_nb.export', *words, cwd=out.parent, **known)
    assert r.returncode == 0, r.stderr
    assert r.stdout.splitlines() == [str(tmp_path / 'm'), 'pushed to the hub as me/rocks']
    assert 'config.json' in Hub.kept
    r = shell(sys.executable, '-m', 'rock_nb.export', 'ensemble', '--runs', out, cwd=tmp_path)
    assert r.returncode == 1 and r.stderr.startswith('BadInput: ensemble was made of several')
    assert r.stderr.count('\n') == 1


def test_where_it_goes_by_itself(out, capsys):
    main(['plain', '--no_onnx', '--runs', str(out)])
    folder = out / 'exports' / 'plain'
    assert capsys.readouterr().out.splitlines() == [str(folder)] and Run(folder).model_config.exists()
    assert {r.name for r in core.runs(out)} == {'plain', 'root', 'two', 'oblong', 'heads', 'ensemble'}
