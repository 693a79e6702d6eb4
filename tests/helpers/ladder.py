"""Trainings and their ensemble as the pipeline does them here, to compare with what a queue's workers left."""
from pathlib import Path

from rock_nb.core import Run, read_json
from rock_nb.jobs.job import Job


def rows(run: Run) -> int:
    "Epochs that a run's history has."
    return len(run.history.read_text().splitlines()) - 1 if run.history.exists() else 0


def train_ladder(names: list[str], folder: Path, given: dict):
    "As the pipeline's notebooks do."
    from rock_nb.ensemble import ensemble
    from rock_nb.pipeline import pipeline_steps
    from rock_nb.train import fit
    for step in pipeline_steps(names, folder, dict(given)):
        if step.notebook == '03_train': fit(**step.given, show=lambda *_: None)
        if step.notebook == '05_ensemble': ensemble(**step.given)


def assert_same_runs(runs: dict[str, Run], table: dict[str, Job], folder: Path):
    "Runs and their jobs' results, by name, are those of a folder to the bit."
    for v, run in runs.items():
        piped = Run(folder / v)
        for file in ('valid', 'test', 'submission'):
            assert getattr(run, file).read_bytes() == getattr(piped, file).read_bytes(), (
                f'{v}: {file}')
        assert table[v].result['valid']['f1'] == read_json(piped.metrics)['valid']['f1']
