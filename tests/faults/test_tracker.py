"""A training that is killed while it is tracked goes on: afterwards each tracker holds each epoch once."""
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from rock_nb import core
from rock_nb.core import Run
from rock_nb.training.tracking import NEEDS, make_trackers

pytestmark = pytest.mark.processes

ROWS = [dict(epoch=e, phase=0, lr=1e-3, train_loss=1 / e, valid_f1=.1 * e) for e in range(1, 6)]
PROGRAM = """
import os, sys
import pandas as pd
from rock_nb import core
from rock_nb.core import Run
from rock_nb.training.tracking import make_trackers
from test_tracker import ROWS
run = Run(sys.argv[1])
tracker = make_trackers('tensorboard mlflow wandb', run, dict(arch='resnet18'))
for n in (1, 2, 3):
    core.write_csv(run.history, pd.DataFrame(ROWS[:n]))
    tracker.epoch(ROWS[n - 1])
os.kill(os.getpid(), 9)
"""


def test_killed_and_resumed(tmp_path):
    for name in NEEDS: pytest.importorskip(name)
    from mlflow import MlflowClient
    from helpers.wandb_files import is_whole, wandb_files, wandb_history, wandb_values
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    run = Run(tmp_path / 'v2-lr=0.001')
    r = subprocess.run(
        [sys.executable, '-c', PROGRAM, run.path], cwd=Path(__file__).parent, capture_output=True,
        text=True, timeout=300)
    assert r.returncode == -9, r.stderr[-2000:]

    core.write_csv(run.history, pd.DataFrame(ROWS))
    tracker = make_trackers('tensorboard mlflow wandb', run, dict(arch='resnet18'))
    tracker.epoch(ROWS[4])
    tracker.finish(dict(valid=dict(f1=.5)))

    folder = run.path / 'tracking'
    events = EventAccumulator(str(folder / 'tensorboard'), dict(scalars=0)).Reload()
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    [logged] = client.search_runs([e.experiment_id for e in client.search_experiments()])
    until = time.time() + 10
    while not all(map(is_whole, wandb_files(folder))) and time.time() < until:
        time.sleep(0.05)
    kept = wandb_history(folder)
    assert wandb_values(folder, 'config')['arch'] == 'resnet18'
    assert wandb_values(folder, 'summary')['final/valid/f1'] == .5
    for column in ROWS[0]:
        wanted = [(r['epoch'], r[column]) for r in ROWS]
        assert [(e.step, pytest.approx(e.value)) for e in events.Scalars(column)] == wanted
        assert [
            (m.step, m.value) for m in client.get_metric_history(logged.info.run_id, column)
        ] == wanted
        assert list(kept[column].items()) == wanted
    assert logged.info.status == 'FINISHED' and logged.data.metrics['final/valid/f1'] == .5
    assert len(events.Scalars('final/valid/f1')) == 1
