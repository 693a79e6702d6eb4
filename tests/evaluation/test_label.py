"""One round of the labelling loop: labels that were turned wrong are written as worth a second look, answered, read back, learned, and the change is said."""
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from conftest import TINY
from rock_nb.core import rng
from rock_nb.data.synthetic import make
from rock_nb.data.tabular import read_text
from rock_nb.evaluation.corrections import append_correction, file_hash, keep_image
from rock_nb.evaluation.label_changes import label_changes
from rock_nb.evaluation.relabel import run_table
from rock_nb.folds import fit_folds
from rock_nb.label import main
from rock_nb.train import fit

pytestmark = pytest.mark.slow
FOLDS = dict(version='frozen', body='packaged', workers=0, show=lambda *a: None)


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
    "Drawn photographs in four folds, one of them for the test, and 12 labels of the others turned wrong."
    root = tmp_path_factory.mktemp('drawn')
    make(root / 'data', n=240, n_test=14, size=(96, 128))
    files = sorted((root / 'data' / 'train').glob('*/*.jpg'))
    truth = pd.Series({str(f): f.parent.name for f in files})
    fold = pd.Series(np.arange(len(files)) % 4, truth.index)
    bad = list(rng(3).permutation(truth.index[fold != 0])[:12])
    classes, labels = sorted(set(truth)), truth.copy()
    for i in bad: labels[i] = classes[(classes.index(truth[i]) + 1) % len(classes)]
    pd.DataFrame(dict(path=truth.index, label=labels, fold=fold)).to_csv(root / 'noisy.csv', index=False)
    return root, truth, bad


def test_a_round(drawn, capsys):
    root, truth, bad = drawn
    out = str(root / 'runs')
    first = fit_folds(**FOLDS, data=str(root / 'noisy.csv'), out=out, run='first', test_fold=0)
    main(['write', '--run', 'first-folds', '--out', out, '--to', str(root / 'review'), '--n', '40'])
    said = capsys.readouterr().out
    assert 'label doubtful' in said

    # a person looks at the first 24
    review = read_text(root / 'review' / 'review.csv')
    found = set(review.file[:24]) & set(bad)
    assert len(found) >= 8, f'{len(found)} of 12 wrong labels among the first 24'
    review.loc[:23, 'new_label'] = [truth[f] for f in review.file[:24]]
    review['who'] = 'Kim'
    review.to_csv(root / 'filled.csv', index=False)

    # somebody else answers a task in Label Studio, otherwise
    tasks = json.loads((root / 'review' / 'tasks.json').read_text())
    other = next(c for c in sorted(set(truth)) if c != truth[tasks[0]['data']['file']])
    answer = dict(
        tasks[0], id=1, annotations=[dict(
            id=1, completed_by=7, updated_at='2026-01-31T12:00:00Z',
            result=[dict(tasks[0]['predictions'][0]['result'][0], value=dict(choices=[other]))])])
    (root / 'export.json').write_text(json.dumps([answer]))

    # and `serve` has kept a new photograph, a known one, and one that is no rock
    new = sorted((root / 'data' / 'test').glob('*.jpg'))[:2]
    known = next(b for b in bad if b not in found) if len(found) < 12 else bad[0]
    for file, label in ((new[0], 'Granite'), (new[1], ''), (known, truth[known])):
        append_correction(root / 'kept', dict(
            time='2026-02-01T12:00:00Z', run='first', file='a.jpg', sha256=file_hash(file), who='Lee',
            image=keep_image(root / 'kept', file, 'a.jpg'), answer='Etc', probability=.5, correction=label))

    table = root / 'table.csv'
    main(['read', str(root / 'filled.csv'), str(root / 'export.json'),
          str(root / 'kept' / 'corrections.csv'), '--run', 'first-folds', '--out', out, '--to', str(table)])
    said = capsys.readouterr().out
    assert f"people disagree: {tasks[0]['data']['file']} is" in said and '1 added' in said
    rows = read_text(table).set_index('path')
    changed = rows.index[(rows.old_label != '') & (rows.old_label != rows.label)]
    settled = (found | {known}) - {tasks[0]['data']['file']}
    assert set(changed) == settled and (rows.label[changed] == truth[changed]).all()
    assert rows.answered_by[known] in ('Lee', 'Kim, Lee', 'Lee, Kim')
    [added] = [p for p in rows.index if p not in truth.index]
    assert rows.fold[added] == '-1' and rows.label[added] == 'Granite'
    with pytest.raises(SystemExit, match='is there already'):
        main(['read', str(root / 'filled.csv'), '--run', 'first-folds', '--out', out, '--to', str(table)])

    second = fit_folds(**FOLDS, data=str(table), out=out, run='second', test_fold=0)
    capsys.readouterr()
    main(['changes', 'first-folds', 'second-folds', '--out', out])
    said = capsys.readouterr().out
    assert f'{len(changed)} labels changed, 1 images new, 0 left out' in said
    assert 'macro F1 on 60 images of the part test' in said
    done = label_changes(first, second)
    assert len(done.corrected) == len(changed) and (done.corrected.after != '').all()
    assert done.corrected.right_now.sum() >= .7*len(changed)
    # a second round knows the first
    assert set(run_table(second).answered_by) >= {'', 'Kim'}


def test_photographs_that_were_moved(sample, tmp_path, capsys):
    "Nothing is written about photographs that are not there; `--data` says where they are now."
    was, now, out = tmp_path / 'was', tmp_path / 'now', str(tmp_path / 'runs')
    shutil.copytree(sample / 'train', was)
    fit(**TINY, epochs=1, workers=0, valid=.5, data=was, out=out, run='one', show=lambda *a: None)
    ask = ['--run', 'one', '--out', out]
    main(['write', *ask, '--to', str(tmp_path / 'before')])
    review = read_text(tmp_path / 'before' / 'review.csv')
    review.loc[0, 'new_label'] = 'none of these'
    review.to_csv(tmp_path / 'filled.csv', index=False)
    was.rename(now)
    for words in (['write', '--to', str(tmp_path / 'no')],
                  ['read', str(tmp_path / 'filled.csv'), '--to', str(tmp_path / 'no.csv')]):
        with pytest.raises(SystemExit, match=r'(\d+) of \1 images are not there, first .*; say with --data'):
            main([*words, *ask])
    assert not list(tmp_path.glob('no*[!w]'))
    main(['write', *ask, '--to', str(tmp_path / 'after'), '--data', str(now)])
    after = read_text(tmp_path / 'after' / 'review.csv')
    assert [f.replace(str(now), str(was)) for f in after.file] == review.file.tolist()
    Path(after.file[1]).unlink()
    capsys.readouterr()
    # the answers name the photographs as they were
    main(['read', str(tmp_path / 'filled.csv'), *ask, '--to', str(tmp_path / 'table.xlsx'), '--data', str(now)])
    assert '1 left out' in (said := capsys.readouterr().out) and 'note: 1 of 83 images are not there' in said
    rows = read_text(tmp_path / 'table.xlsx')
    assert len(rows) == 83 and after.file[0] not in set(rows.path) and rows.path.str.startswith(str(now)).all()
    for words in (['write', '--to', str(tmp_path / 'after')], ['read', str(tmp_path / 'filled.csv'), '--to',
                  str(tmp_path / 'table.xlsx')]):
        with pytest.raises(SystemExit, match='is there already'): main([*words, *ask, '--data', str(now)])
    for to, says in (('/proc/x.csv', '--to /proc/x.csv cannot be written'), ('x.json', 'ends in .csv')):
        with pytest.raises(SystemExit, match=says):
            main(['read', str(tmp_path / 'filled.csv'), *ask, '--to', to, '--data', str(now)])


def test_photographs_without_labels(sample, tmp_path, capsys):
    out = str(tmp_path / 'runs')
    fit(**TINY, epochs=1, workers=0, valid=.5, data=sample, out=out, run='one', show=lambda *a: None)
    test = sample / 'test'
    main(['write', str(test), '--run', 'one', '--out', out, '--to', str(tmp_path / 'look'), '--root', str(sample)])
    review = read_text(tmp_path / 'look' / 'review.csv')
    assert len(review) and set(review.old_label) == {''} and review.file.str.startswith(str(test)).all()
    [task, *_] = json.loads((tmp_path / 'look' / 'tasks.json').read_text())
    assert task['data']['image'].startswith('/data/local-files/?d=test/')
    assert set(task['predictions'][0]) == {'model_version', 'score', 'result'}
    # a storage is a folder below the one that is served
    studio = (tmp_path / 'look' / 'studio.txt').read_text()
    assert f'DOCUMENT_ROOT={sample}\n' in studio and studio.endswith(f':\n{test}\n')
    # what is wrong is said before a copy of an image is written
    odd = tmp_path / 'odd'
    odd.mkdir()
    for name in ('a.tif', 'b.jpg'): Image.open(review.file[0]).save(odd / name)
    with pytest.raises(SystemExit, match=f'give `root` {tmp_path}'):
        main(['write', str(odd), '--run', 'one', '--out', out, '--to', str(odd / 'no'), '--root', str(odd)])
    assert not (odd / 'no').exists()
    review.loc[:2, 'new_label'] = ['Granite', 'none of these', 'Basalt']
    review.to_csv(tmp_path / 'filled.csv', index=False)
    main(['read', str(tmp_path / 'filled.csv'), '--run', 'one', '--out', out, '--to', str(tmp_path / 'table.csv')])
    rows = read_text(tmp_path / 'table.csv')
    assert set(rows.part[rows.old_label == ''][-2:]) == {'train'}
    assert len(rows) == len(run_table(fit(run='one', data=sample, out=out, **TINY, epochs=1, workers=0, valid=.5))) + 2
    review.loc[0, 'new_label'] = 'Cheese'
    review.to_csv(tmp_path / 'filled.csv', index=False)
    with pytest.raises(SystemExit, match="says 'Cheese'"):
        main(['read', str(tmp_path / 'filled.csv'), '--run', 'one', '--out', out, '--to', str(tmp_path / 'other.csv')])
