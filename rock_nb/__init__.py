"""Notebook-first research repository for classifying photographs of rocks; the notebooks in `nbs/` are its source."""
__version__ = "0.1.0"

import os
import sys
from importlib import import_module
from types import ModuleType

from . import _moved    # noqa: F401 (earlier names of modules)

# Threads that wait by spinning take the cores from the processes that load the photographs, which on few cores slows
# training down a lot. It must be said before torch is loaded for the first time.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

__all__ = ['fit', 'predict', 'load_run', 'list_runs', 'compare', 'ensemble', 'read_data', 'recipes', 'Recipe', 'Phase',
           'BadInput', 'Run']


class _CallableModule(ModuleType):
    "A module that is called like the function of the front door that has its name: `rock_nb.predict(...)`."
    def __call__(self, *args, **kwargs):
        return getattr(import_module('rock_nb.api'), self.__name__.rpartition('.')[2])(*args, **kwargs)


class _FrontDoor(ModuleType):
    "The package: what it offers is loaded when it is first used."
    def __getattr__(self, name: str):
        if name in ('predict', 'ensemble'): return import_module(f'rock_nb.{name}')
        if name == 'BadInput': return import_module('rock_nb.core').BadInput
        if name in __all__: return getattr(import_module('rock_nb.api'), name)
        raise AttributeError(f'rock_nb has no {name!r}; it has {", ".join(__all__)}, and modules such as rock_nb.train')

    def __setattr__(self, name: str, value: object):
        if name in ('predict', 'ensemble') and isinstance(value, ModuleType): value.__class__ = _CallableModule
        super().__setattr__(name, value)

    def __dir__(self): return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _FrontDoor
