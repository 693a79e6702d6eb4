"""What is said beside scores: that an epoch was chosen by them, and which classes have no images; and folds that leave some images out."""
import nbformat
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from conftest import TINY, flags, shell
from rock_nb.core import Run, read_json
from rock_nb.data.table import read_data
from rock_nb.ensemble import ensemble, summary_of
from rock_nb.folds import fit_folds
from rock_nb.pipeline import notes_of, results
from rock_nb.train import fit, notes_on

SMALL = {**TINY, 'workers': 0, 'show': lambda *_: None}
CHOSEN = 'chosen on these images, so it looks better there than on others'


@pytest.fixture(scope='module')
def runs(sample, tmp_path_factory):
    "Two runs of three epochs each, and two of one; all hold out the same images."
    out = tmp_path_factory.mktemp('runs')
    given = dict(data=sample, out=out, **SMALL)
    for epochs in (3, 1):
        for lr in (1e-3, 2e-3):
            fit('baseline', run=f'e{epochs}-{lr}', epochs=epochs, lr=lr, **given)
    return out


@pytest.mark.slow
def test_the_choice_of_an_epoch_is_said_where_there_was_one(runs):
    chosen, single = (
        ensemble([runs / f'e{e}-{lr}' for lr in (1e-3, 2e-3)], name=f'both{e}', out=runs)
        for e in (3, 1))
    assert f'The epoch of each member was {CHOSEN}' in summary_of(
        chosen) and CHOSEN not in summary_of(single)
    assert CHOSEN in notes_on(Run(runs / 'e3-0.001'))[0] and notes_on(Run(runs / 'e1-0.001')) == []
    mixed = ensemble([runs / 'e3-0.001', runs / 'e1-0.001'], name='mixed', out=runs)
    assert CHOSEN in summary_of(mixed)


def test_a_pipeline_says_it_run_by_run(runs):
    ensemble([runs / 'e3-0.001', runs / 'e1-0.001'], out=runs)
    said = notes_of(results(['e3-0.001', 'e1-0.001'], runs), runs)
    assert [s.partition(':')[0] for s in said] == ['e3-0.001', 'ensemble'] and all(
        CHOSEN in s for s in said)


@pytest.mark.parametrize('notebook, given, says', [
    ('05_ensemble', dict(runs='e3-0.001,e1-0.001', name='voted'), 'e3-0.001: The epoch was ' + CHOSEN),
    ('04_confusion', dict(run='e3-0.001', compare='e3-0.001'), 'The epoch was ' + CHOSEN)])
@pytest.mark.processes
@pytest.mark.slow
def test_a_record_says_it(runs, tmp_path, notebook, given, says):
    record = tmp_path / 'record.ipynb'
    done = shell(
        'papermill', f'nbs/{notebook}.ipynb', record, *flags(given | dict(out=runs), papermill=True)
    )
    assert done.returncode == 0, done.stderr[-3000:]
    cells = nbformat.read(record, 4).cells
    said = ''.join(o.get('text', '') for c in cells for o in c.get('outputs', []))
    assert says in said and 'nothing was learned from' not in cells[0].source + cells[1].source


def test_images_of_the_fold_minus_one_are_learned_in_each(sample, tmp_path):
    "A whole class among them: it has no score out of fold, and macro F1 is scikit-learn's."
    table = read_data(sample).train
    fold = np.where(table.label == 'Gneiss', -1, table.groupby('label').cumcount() % 2)
    file = tmp_path / 'folds.csv'
    table[['path']].assign(fold=fold).to_csv(file, index=False)
    folder = fit_folds(
        'baseline', folds=str(file), data=sample, out=tmp_path, run='some', epochs=2, **SMALL)
    oof = pd.read_csv(folder.path / 'oof.csv')
    assert sorted(oof.path) == sorted(table.path[table.label != 'Gneiss'])
    exact = f1_score(oof.label, oof.predicted, average='macro', zero_division=0)
    assert read_json(folder.metrics)['valid']['f1'] == pytest.approx(exact, abs=1e-12)
    said = notes_on(folder)
    assert len(said) == 2 and 'Gneiss' in said[0] and CHOSEN in said[1]
