"""A recorded run is made again: identical, or where it first differs, with the exit status that says so."""
import os
import shutil
import sys

import pytest

from conftest import QUICK, shell
from rock_nb.core import Run, read_json, write_json
from rock_nb.data.synthetic import make
from rock_nb.train import fit
from rock_nb.verify import main, verify_run


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    "A folder with photographs, and a run that was trained on them."
    folder = tmp_path_factory.mktemp('verify')
    make(folder / 'photographs', n=42, n_test=7, size=(40, 60))
    fit(**QUICK, data=folder / 'photographs', out=folder / 'runs', run='plain', show=lambda *_: None)
    return folder


@pytest.fixture
def run(made, tmp_path) -> Run:
    "A copy of the run that may be harmed."
    shutil.copytree(made / 'runs' / 'plain', tmp_path / 'runs' / 'plain')
    return Run(tmp_path / 'runs' / 'plain')


def verify(capsys, *words) -> tuple[int, str, str]:
    "Exit status, what was printed, and the sentence of an error."
    try: main([str(w) for w in words])
    except SystemExit as e: status = e.code
    else: status = 0
    said = capsys.readouterr()
    errors = [line for line in said.err.splitlines() if line.startswith('BadInput')]
    return status, said.out, '\n'.join(errors)


def flip(file, byte: int, bit: int):
    data = bytearray(file.read_bytes())
    data[byte] ^= 1 << bit
    file.write_bytes(data)


def change_environment(run: Run, drop=(), **changes):
    about = read_json(run.environment)
    about['packages'] |= changes.pop('packages', {})
    write_json(run.environment, {k: v for k, v in (about | changes).items() if k not in drop})


@pytest.mark.parametrize('part', ['test', 'all'])
def test_identical(made, capsys, part):
    status, said, _ = verify(capsys, 'plain', '--runs', made / 'runs', '--part', part)
    assert status == 0 and said.startswith('plain: identical\n')
    assert ('training' in said) == (part == 'all') and 'differs' not in said


@pytest.mark.parametrize('name, byte, bit, says', [
    ('best', -1, 6, ': '), ('best', 3, 0, 'best.safetensors, byte 3, bit 0: 0x'), ('history', 12, 2, 'line 1, byte 12'),
    ('valid', 200, 7, 'valid.npz, byte 200, bit 7: 0x'), ('recipe', 0, 1, 'recipe.json, line 1, byte 0, bit 1: 0x7b -> 0x79')])
def test_a_flipped_bit(run, capsys, name, byte, bit, says):
    file = getattr(run, name)
    flip(file, byte, bit)
    status, said, _ = verify(capsys, run.path, '--part', 'data')
    assert status == 1 and f'files     differs      {file.name}, ' in said and says in said
    assert f'bit {bit}' in said and said.count('\n') == 2, 'the first difference ends it'
    if byte == -1: assert '] ' not in said and ']: ' in said and ' -> ' in said     # a number of a tensor


def test_more_than_one_bit_and_a_lost_file(run, capsys):
    flip(run.best, -1, 0)
    flip(run.best, -9, 0)
    run.submission.unlink()
    status, said, _ = verify(capsys, run.path, '--part', 'data')
    assert status == 1 and 'best.safetensors: ' in said and 'with hash' in said
    assert 'changed as well: submission.csv' in said
    shutil.rmtree(run.path)


def test_a_changed_photograph(made, run, capsys, tmp_path):
    photographs = tmp_path / 'moved'
    shutil.copytree(made / 'photographs', photographs)
    words = [run.path, '--part', 'split', '--data', photographs]
    assert verify(capsys, *words)[0] == 0, 'photographs may move'
    file = sorted(photographs.glob('train/*/*'))[5]
    name, before = file.relative_to(photographs), file.stat()
    flip(file, -3, 0)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))       # as if nothing had happened
    status, said, _ = verify(capsys, *words)
    assert status == 1 and f'data      differs      the image {name} has another content: hash ' in said
    flip(file, -3, 0)
    shutil.copy(file, file.with_name('new.jpg'))
    status, said, _ = verify(capsys, *words)
    assert status == 1 and f'the image {name.parent}/new.jpg is new (1 in all)' in said
    file.with_name('new.jpg').unlink()
    file.rename(file.with_name('other.jpg'))
    status, said, _ = verify(capsys, *words)
    assert status == 1 and f'the image {name} is gone (1 in all)' in said
    shutil.rmtree(photographs)
    status, _, error = verify(capsys, *words)
    assert status == 2 and 'are no longer at' in error and error.count('\n') == 0


@pytest.mark.parametrize('package', ['torch', 'timm', 'albumentations', 'numpy', 'pillow'])
def test_a_changed_version(run, package):
    now = read_json(run.environment)['packages'][package]
    change_environment(run, packages={package: '0.9'})
    found = verify_run(run)
    assert [f.verdict for f in found.findings] == ['identical']*3 + ['refused']
    assert found.verdict == 'not verified' and f'{package} 0.9 -> {now}: other bits would be no fault' in found.where


def test_anyway(run, capsys):
    change_environment(run, packages=dict(torch='0.9'), processor='Z80')
    status, said, error = verify(capsys, run.path, '--part', 'epoch')
    assert status == 2 and 'torch 0.9 -> ' in error and 'processor Z80 -> ' in error
    assert error.startswith('BadInput: plain: ') and 'anyway' in error
    status, said, error = verify(capsys, run.path, '--part', 'epoch', '--anyway')
    assert (status, error) == (0, '') and 'epoch     identical' in said and 'since then: torch 0.9 -> ' in said


def test_where_a_second_training_differs(run, capsys):
    "A run without hashes of its files, as older versions left them: the training tells."
    change_environment(run, drop=['files'])
    flip(run.best, -1, 0)
    status, said, _ = verify(capsys, run.path, '--part', 'epoch')
    assert status == 1 and 'files     not checked' in said
    assert 'epoch     differs      best.safetensors, ' in said and ', bit 0)' in said
    flip(run.best, -1, 0)
    head, row, *_ = run.history.read_text().splitlines()
    cells = dict(zip(head.split(','), row.split(',')))
    run.history.write_text(f"{head}\n{row.replace(cells['train_loss'], '1.5')}\n")
    status, said, _ = verify(capsys, run.path, '--part', 'epoch')
    assert status == 1 and f"history.csv, row 1 (1), column train_loss: 1.5 -> {cells['train_loss']}" in said


def test_what_older_runs_have_not_recorded_is_said(run, capsys):
    run.content.unlink()
    change_environment(run, drop=['files', 'options', 'threads'])
    status, said, _ = verify(capsys, run.path)
    assert status == 0 and said.count('not checked') == 3 and 'test      identical' in said
    change_environment(run, drop=['data'])
    status, _, error = verify(capsys, run.path)
    assert status == 2 and 'has not recorded where its images are' in error


def test_no_run_to_verify(run, capsys, tmp_path):
    for words, says in (
        ([tmp_path], 'no complete run'), (['none', '--runs', run.path.parent], "no complete run 'none'"),
        ([run.path, '--part', 'weights'], "unknown part 'weights'"), ([run.path, '--all'], 'leave run and data out')):
        status, said, error = verify(capsys, *words)
        assert (status, said) == (2, '') and says in error and error.count('\n') == 0
    run.metrics.unlink()
    status, _, error = verify(capsys, run.path)
    assert status == 2 and 'no complete run' in error


@pytest.mark.processes
def test_all_from_the_shell(made, run):
    runs = run.path.parent
    shutil.copytree(made / 'runs' / 'plain', runs / 'flipped')
    flip(Run(runs / 'flipped').best, -1, 0)
    for f in ('recipe', 'metrics'):
        write_json(getattr(Run(runs / 'vote'), f), dict(members=[dict(name='plain')]))
    done = shell(sys.executable, '-m', 'rock_nb.verify', '--all', '--part', 'data', '--runs', runs)
    assert done.returncode == 1, done.stderr
    rows = {line.split()[0]: ' '.join(line.split()[1:]) for line in done.stdout.splitlines()[1:]}
    assert rows['plain'] == 'identical' and rows['flipped'].startswith('differs best.safetensors, ')
    assert rows['vote'].startswith('of several vote was made of several (plain)')
