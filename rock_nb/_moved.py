"""Modules under the names of earlier versions: importing one warns, and names the new one."""
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

# old name -> where its contents are now; several, where it was divided
MOVED = {
    'registry': ['core.registry'],
    'data.augments': ['data.augmentations'],
    'data.background': ['speed.background_cache'],
    'data.deal': ['data.group_split'],
    'data.mix': ['data.mixup'],
    'data.pack': ['speed.decoded_cache'],
    'data.sample': ['data.synthetic'],
    'data.scale': ['bench.files'],
    'data.sheet': ['data.contact_sheet'],
    'data.steps': ['speed.fast_transforms'],
    'data.target': ['data.attributes'],
    'data.transform': ['data.resize'],
    'model.build': ['model.create'],
    'model.convolution': ['speed.bf16_conv'],
    'model.inference': ['speed.folded_inference'],
    'model.prefix': ['speed.frozen_prefix'],
    'judge': [],
    'judge.agreement': ['evaluation.agreement'],
    'judge.answers': ['evaluation.prediction_files'],
    'judge.attribute': ['evaluation.attribute_scores'],
    'judge.combine': ['evaluation.combiners', 'evaluation.soup'],
    'judge.compare': ['evaluation.compare', 'evaluation.bootstrap', 'evaluation.leaderboard',
                      'evaluation.repeats', 'evaluation.run_data', 'evaluation.metrics'],
    'judge.decide': ['evaluation.decision', 'evaluation.calibration', 'evaluation.cross_fitting'],
    'judge.evidence': ['evaluation.run_data'],
    'judge.explain': ['evaluation.explain'],
    'judge.jury': ['evaluation.ensembling'],
    'judge.metric': ['evaluation.metrics'],
    'judge.predict': ['evaluation.predictions', 'evaluation.tta', 'evaluation.view_weights'],
    'judge.selection': ['evaluation.selection'],
    'judge.submission': ['evaluation.submission'],
    'judge.vote': ['evaluation.voting'],
    'learn': [],
    'learn.average': ['training.ema'],
    'learn.best': ['training.best_epoch'],
    'learn.checkpoint': ['training.checkpoint'],
    'learn.distributed': ['training.processes'],
    'learn.engine': ['training.loop'],
    'learn.job': ['training.build'],
    'learn.ladder': ['training.recipes'],
    'learn.launch': ['distributed.launch'],
    'learn.liveplot': ['training.live_plot'],
    'learn.loss': ['training.loss'],
    'learn.optimizer': ['training.optimizer'],
    'learn.peers': ['bench.peers'],
    'learn.precision': ['speed.precision'],
    'learn.quality': ['bench.quality'],
    'learn.recipe': ['training.recipe'],
    'learn.sampler': ['data.sampler'],
    'learn.scaling': ['bench.scaling'],
    'learn.schedule': ['training.schedule'],
    'learn.search': ['training.search'],
    'learn.stage': ['training.state'],
    'learn.step': ['jobs.notebook_step'],
    'learn.tracker': ['training.tracking'],
}

# rooms that are still there, and where what they handed on or gave away is now
DIVIDED = {
    'data.loader': ['data.image', 'data.dataset', 'data.normalize', 'data.loader_workers',
                    'speed.shared_batches'],
    'predict': ['training.onnx_export'],
}


def _find(places: list[str], name: str) -> tuple[str, object] | None:
    "The first of some rooms that has a name, and what it is there."
    for place in places if not name.startswith('__') else ():
        module = import_module(f'rock_nb.{place}')
        if hasattr(module, name): return place, getattr(module, name)
    return None


def moved_name(module: str, name: str) -> object:
    "What a room of `DIVIDED` had under this name in earlier versions; else an `AttributeError`."
    found = _find(DIVIDED[module.removeprefix('rock_nb.')], name)
    if found is None: raise AttributeError(f'module {module!r} has no attribute {name!r}')
    warnings.warn(f'{name} of {module} is in rock_nb.{found[0]} now', FutureWarning, stacklevel=3)
    return found[1]


class _DividedLoader(SourceFileLoader):
    "Loads a room of `DIVIDED`, which then hands out what it had; the room itself need not know."
    def exec_module(self, module: ModuleType) -> None:
        module.__getattr__ = lambda name: moved_name(module.__name__, name)
        super().exec_module(module)


class _OldName(ModuleType):
    "Hands out what its successors have."
    def __getattr__(self, name: str):
        if name.startswith('__'): raise AttributeError(name)
        places = MOVED[self.__name__.removeprefix('rock_nb.')]
        found = _find(places, name)
        if found is None:
            now = ', '.join(f'rock_nb.{p}' for p in places)
            raise AttributeError(f'{self.__name__} has moved to {now}, where there is no {name!r}')
        return found[1]


class MovedModules:
    "Finds the modules of `MOVED`, and those of `DIVIDED` where they are."
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        old = name.removeprefix('rock_nb.')
        if old == name: return None
        if old in DIVIDED:
            spec = PathFinder.find_spec(name, path, target)
            if spec: spec.loader = _DividedLoader(name, spec.origin)
            return spec
        if old not in MOVED: return None
        return ModuleSpec(name, self, is_package='.' not in old and not MOVED[old])

    def create_module(self, spec: ModuleSpec) -> ModuleType: return _OldName(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        if places := MOVED[module.__name__.removeprefix('rock_nb.')]:
            now = ' and '.join(f'rock_nb.{p}' for p in places)
            warnings.warn(f'{module.__name__} is {now} now', FutureWarning, stacklevel=2)


# before Python's own finders, which would find the divided rooms too
sys.meta_path.insert(0, MovedModules())
