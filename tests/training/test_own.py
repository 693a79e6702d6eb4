"""Losses, samplers and schedules of one's own: found again from their files, and known when those change."""
import shutil

import pytest

import rock_nb
from conftest import QUICK, ROOT
from rock_nb.core import BadInput, read_json, write_json
from rock_nb.training.loss import LOSSES
from rock_nb.training.recipe import Phase, Recipe, check_recipe, from_dict, own_hashes, to_dict, with_fields
from rock_nb.verify import verify_run

TEXT = '''
import torch.nn.functional as F
def fl(logits, target, weight=None, smoothing=0., *, k: float = 2.):
    return k*F.cross_entropy(logits, target, weight, reduction='none', label_smoothing=smoothing)
def falling(t, total, low, f1s): return 1/(1 + t)
'''


@pytest.fixture(scope='module')
def made(sample, tmp_path_factory):
    "A folder with a run that was trained with a loss in a file."
    folder = tmp_path_factory.mktemp('own')
    (folder / 'my.py').write_text(TEXT)
    rock_nb.fit(
        'baseline', data=sample, out=folder, run='z', loss=f'{folder}/my.py:fl(k=1.5)',
        show=lambda *_: None, **QUICK)
    return folder


def again(made, sample):
    return rock_nb.fit(
        'baseline', data=sample, out=made, run='z', loss=f'{made}/my.py:fl(k=1.5)', show=lambda *_: None, **QUICK)


def test_an_edited_file_is_another_run(made, sample):
    assert again(made, sample).status == 'complete'
    (made / 'my.py').write_text(TEXT.replace('\n', '\r\n'))    # the same text
    assert again(made, sample).status == 'complete'
    (made / 'my.py').write_text(TEXT + '# edited\n')
    try:
        with pytest.raises(BadInput, match='the file of .*my.py:fl holds something else than when .*z was begun'):
            again(made, sample)
        found = verify_run('z', 'epoch', runs=made)
        assert found.verdict == 'not verified' and 'my.py:fl, which it was trained with' in found.where
        assert verify_run('z', runs=made).verdict == 'identical'      # judging calls no loss
        record = read_json(made / 'z' / 'recipe.json')
        write_json(made / 'z' / 'recipe.json', {k: v for k, v in record.items() if k != 'own'})
        assert again(made, sample).status == 'complete'       # an older run
        write_json(made / 'z' / 'recipe.json', record)
    finally: (made / 'my.py').write_text(TEXT)


def test_a_function_is_named_by_its_file(made, monkeypatch):
    monkeypatch.syspath_prepend(made)
    import my
    assert with_fields(Recipe(), loss=my.fl).loss == f'{made.resolve()}/my.py:fl'
    assert with_fields(Recipe(), loss=LOSSES['focal']).loss == 'focal'
    r = check_recipe(Recipe(loss=my.fl, phases=(Phase(1, schedule=my.falling),)))
    assert r.phases[0].schedule == f'{made.resolve()}/my.py:falling' and from_dict(to_dict(r)) == r
    assert set(own_hashes(r)) == {r.loss, r.phases[0].schedule}


@pytest.mark.parametrize('field', ['loss', 'sampler', 'schedule'])
def test_one_that_nobody_finds_again_is_refused(field, sample, tmp_path):
    with pytest.raises(BadInput, match=f"the {field} .*lambda.* is in no file .* give {field} 'file.py:function'"):
        rock_nb.fit('baseline', data=sample, out=tmp_path, run='z', **{field: lambda *_: 1.}, **QUICK)
    assert not (tmp_path / 'z').exists()


@pytest.mark.parametrize('field', ['loss', 'sampler', 'schedule'])
def test_what_only_learning_needs_is_not_needed_to_predict(field, tmp_path):
    shutil.copytree(ROOT / 'tests' / 'old_runs' / 'old', tmp_path / 'old')
    record = read_json(tmp_path / 'old' / 'recipe.json')
    write_json(tmp_path / 'old' / 'recipe.json', record | dict(recipe=record['recipe'] | {field: 'elsewhere(k=2)'}))
    assert len(rock_nb.load_run('old', tmp_path).model('cpu')) == 2
    with pytest.raises(BadInput, match="unknown .* 'elsewhere'.*import the module that registers it"):
        check_recipe(from_dict(record['recipe'] | {field: 'elsewhere(k=2)'}))


def test_a_field_of_a_newer_version_is_named_with_its_file(tmp_path):
    shutil.copytree(ROOT / 'tests' / 'old_runs' / 'old', tmp_path / 'old')
    record = read_json(tmp_path / 'old' / 'recipe.json')
    write_json(tmp_path / 'old' / 'recipe.json', record | dict(recipe=record['recipe'] | dict(moonlight=1)))
    run = rock_nb.load_run('old', tmp_path)
    for of in (run.recipe, run.model, lambda: verify_run('old', runs=tmp_path, anyway=True).where):
        with pytest.raises(BadInput, match="old/recipe.json: unknown recipe field 'moonlight'.*newer rock_nb"):
            raise BadInput(of())
