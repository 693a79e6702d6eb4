"""Modules can be imported under the names that they had before the rooms were moved."""
import subprocess
import sys
from importlib import import_module

import pytest

from rock_nb._moved import MOVED


@pytest.mark.parametrize('old', [o for o in MOVED if MOVED[o]])
def test_an_old_name_hands_out_what_is_at_the_new_one(old):
    sys.modules.pop(f'rock_nb.{old}', None)
    with pytest.warns(FutureWarning, match=MOVED[old][0]):
        module = import_module(f'rock_nb.{old}')
    new = import_module(f'rock_nb.{MOVED[old][0]}')
    name = next(n for n in vars(new) if not n.startswith('_'))
    assert getattr(module, name) is getattr(new, name)
    with pytest.raises(AttributeError, match='has moved to'): module.no_such_name


@pytest.mark.processes
def test_as_users_write_it():
    program = (
        'from rock_nb.judge.metric import macro_f1; import rock_nb.learn.loss as l; l.LOSSES; '
        'print(macro_f1.__module__)')
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', program], capture_output=True, text=True)
    assert done.stdout.strip() == 'rock_nb.evaluation.metrics', done.stderr


def test_what_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError): import_module('rock_nb.judge.nothing')


def test_a_room_that_was_divided_hands_out_what_it_had():
    import rock_nb.data.loader as room
    from rock_nb.data.image import read_image
    with pytest.warns(FutureWarning, match='read_image of rock_nb.data.loader is in rock_nb.data.image now'):
        assert room.read_image is read_image
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"): room.nothing
    from rock_nb.predict import Graph
    assert Graph.__module__ == 'rock_nb.training.onnx_export'
