"""What may be imported, by name: by the package, by `--help` and a refused word of each program, by the prediction of one image.

A name may leave these lists. Whoever wants to add one reads `nbs/core/lazy_import.ipynb` first.
"""
import json
import subprocess
import sys

import pytest

from conftest import ROOT, TINY

# beside the standard library and this package; numpy is a tenth of a second
LIGHT = {'numpy', 'tqdm'}
OF_FILES = {'PIL', 'fastcore', 'pi_heif', '_pi_heif', 'defusedxml'}    # which endings are images
ROOMS = {
    'core', 'speed.late_dynamo', 'training.command', 'training.recipe', 'training.recipes', 'data.shape'}
OF_LISTS = {'data.image_lists', 'data.files', 'data.tabular', 'evaluation.tta'}
OF_JOBS = {'jobs.folder', 'jobs.job', 'jobs.slurm', 'jobs.worker', 'distributed.launch'}

# program -> a word that it refuses, what it says, and what it may import beside the lists above
PROGRAMS = {
    'train': (['--loss', 'fokal'], "unknown loss 'fokal' (did you mean 'focal'?)", set(), set()),
    'folds': (['--epochs', '0'], 'epochs 0 is wrong', set(), set()),
    'sweep': (['--version', 'v9'], "unknown recipe 'v9'", set(), set()),
    'ablation': (['--version', 'v9'], "unknown recipe 'v9'", set(), set()),
    'pipeline': (['--versions', 'v1 v9'], "unknown recipe 'v9'", set(), set()),
    'ensemble': (['--combine', 'equall'], "unknown combiner 'equall'", set(), set()),
    'predict': (['no-such.jpg'], 'there is no file or folder no-such.jpg', OF_FILES, OF_LISTS),
    'export': (['no-such-run'], "no complete run 'no-such-run'", set(), set()),
    'serve': (['--port', '70000'], 'port 70000 must be in [0, 65535]', set(), set()),
    'label': (['read', 'none.csv', '--to', 'table.csv'], 'there is no file none.csv', set(), set()),
    'queue': (['publish', '--lr', '-1'], 'lr -1 is wrong', {'fastcore'}, OF_JOBS),
    'evaluation.compare': (
        ['a.csv'], 'the following arguments are required: labels', OF_FILES,
        {'evaluation.prediction_files', 'data.files', 'data.tabular'}),
    'speed.decoded_cache': (['forget'], "invalid choice: 'forget'", set(), set()),
    'bench.files': (['--size', '1'], 'unknown option --size (did you mean --sizes?)', set(), set()),
}

# what was imported, at the end (not what stands in for it: `speed/late_dynamo`); a program is ended by its first sentence, twice
LOADED = """
import json, sys
print(json.dumps(sorted(n for n, m in sys.modules.items() if type(m).__name__ != 'LateModule')))
"""
ENDED = """
import io, runpy, sys
from contextlib import redirect_stderr, redirect_stdout
module, *words = sys.argv[1:]
def end(*words):
    sys.argv, said = [module, *words], io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        try: runpy.run_module(module, run_name='__main__', alter_sys=True)
        except SystemExit as e: print(e)
    return said.getvalue()
assert '--help' in (said := end('--help')), said
print(end(*words), file=sys.stderr)
"""


def modules(program: str, *words: str) -> tuple[set[str], str]:
    "The modules that a Python program has imported in the end, and what it wrote to stderr."
    done = subprocess.run(
        [sys.executable, '-c', program + LOADED, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1])), done.stderr


def packages(found: set[str]) -> set[str]:
    "The installed packages among modules, but for what an editable installation and C extensions add."
    own = ('rock_nb', '__editable__', '_distutils_hack', 'cython_runtime', '_cython', '_sysconfigdata')
    tops = {m.partition('.')[0] for m in found} - sys.stdlib_module_names
    return {t for t in tops if not t.startswith((*own, '__'))}


def rooms(found: set[str]) -> set[str]:
    "The rooms of this package among modules; all of `core` are one."
    names = {m.removeprefix('rock_nb.') for m in found if m.startswith('rock_nb.')}
    return {'core' if n.startswith('core') else n for n in names if '.' in n or n == 'core'}


def test_the_package_imports_nothing():
    found, _ = modules('import rock_nb')
    assert packages(found) == set() and rooms(found) == set()


@pytest.mark.parametrize('program', PROGRAMS)
def test_help_and_a_refused_word(program):
    words, says, more, more_rooms = PROGRAMS[program]
    found, said = modules(ENDED, f'rock_nb.{program}', *words)
    assert says in said
    assert packages(found) <= LIGHT | more
    assert rooms(found) - {program} <= ROOMS | more_rooms


@pytest.mark.parametrize('notebook', ['01_eda', '02_augment', '04_confusion', '07_dashboard', '08_benchmark'])
def test_a_notebook_without_a_program_says_so(notebook):
    "It imports next to nothing, and ends with status 2 and the line that runs it."
    name = notebook.partition('_')[2]
    done = subprocess.run(
        [sys.executable, '-m', f'rock_nb.{name}', '--data', 'photos'], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count('\n') == 1
    assert done.stderr.endswith(f'papermill nbs/{notebook}.ipynb outputs/{name}.ipynb -p data photos\n')


def test_all_notebooks_that_are_run_are_programs_or_say_so():
    found = sorted((ROOT / 'nbs').glob('[0-9]*.ipynb'))
    modules = [ROOT / 'rock_nb' / f'{f.stem.partition("_")[2]}.py' for f in found]
    assert len(found) > 15 and all("__name__ == '__main__'" in m.read_text(encoding='utf-8') for m in modules)


@pytest.fixture(scope='module')
def run(sample, tmp_path_factory):
    from rock_nb.train import fit
    return fit(
        run='one', data=str(sample), out=str(tmp_path_factory.mktemp('runs')), workers=0,
        show=lambda *a: None, **TINY)


PREDICT = """
import sys
from rock_nb.predict import main
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_one_image(run, sample):
    needed, _ = modules('import torch, timm')
    image = next(sample.glob('test/*.jpg'))
    found, _ = modules(PREDICT, str(image), '--run', str(run.path))
    assert packages(found) - packages(needed) <= LIGHT | OF_FILES | {'cv2', 'psutil', 'safetensors'}
    assert not found & {'wandb', 'torch._dynamo', 'sympy', 'torch.distributed.tensor'}
    assert not {r for r in rooms(found) if r.startswith(('jobs', 'bench', 'distributed'))}
    assert not rooms(found) & {
        'data.augmentations', 'data.table', 'data.resize', 'speed.fast_transforms', 'training.loop',
        'training.build', 'training.live_plot', 'evaluation.ensembling', 'evaluation.metrics'}
