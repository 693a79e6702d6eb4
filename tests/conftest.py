"""What the tests share: generated photographs, a folder of real ones where there is one, and short ways to run things."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# holds images/<class>/… and folds.csv
PHOTOS = Path(os.environ.get('ROCK_NB_PHOTOS', ROOT.parent / 'shared' / 'rocks'))
TINY = dict(arch='resnet18', pretrained=False, img_size=32, batch_size=8, scale='smoke')


def shell(*command, cwd=ROOT, stdout=None, timeout=600, **env) -> subprocess.CompletedProcess:
    "Run a command of the project's environment; its output as text."
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [str(c) for c in command], cwd=cwd, text=True, timeout=timeout, stderr=subprocess.PIPE,
        stdout=stdout or subprocess.PIPE, env={**os.environ, 'PATH': path, **env})


def flags(given: dict, papermill: bool = False) -> list[str]:
    "Parameters as words of a command line: `--name value`, or `-p name value` for papermill."
    return [
        w for k, v in given.items()
        for w in (['-p', k, str(v)] if papermill else [f'--{k}', str(v)])]


@pytest.fixture(scope='session')
def sample(tmp_path_factory) -> Path:
    "A small generated data set in the contest's layout."
    from rock_nb.data.synthetic import make
    return make(tmp_path_factory.mktemp('data') / 'sample', n=84, n_test=21, size=(40, 60))


@pytest.fixture(scope='session')
def photos() -> Path:
    """Real photographs: ROCK_NB_PHOTOS names a folder with images/<class>/… and folds.csv
    (path,class,group,fold)."""
    if not (PHOTOS / 'folds.csv').exists():
        pytest.skip(
            f'no real photographs in {PHOTOS}; set ROCK_NB_PHOTOS to a folder with images/<class>/ '
            'and folds.csv'
        )
    return PHOTOS
