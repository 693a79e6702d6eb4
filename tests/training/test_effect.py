"""What a recipe is told has the effect that it says, or somebody says that it has none."""
import numpy as np
import pytest

import rock_nb
from conftest import QUICK
from rock_nb.core import BadInput, Run, write_json
from rock_nb.ensemble import expects_balance
from rock_nb.sweep import different_cells, grid_cells
from rock_nb.train import options_from
from rock_nb.training.build import recipe_loss
from rock_nb.training.linear_probe import prior_shift
from rock_nb.training.recipe import Phase, Recipe, recipe_notes
from rock_nb.training.recipes import RECIPES, get_recipe, recipe


@pytest.mark.parametrize('said', [dict(loss='logit_adjusted', tau=.8), dict(loss='logit_adjusted(tau=.8)')])
def test_tau_in_brackets_is_tau(said, tmp_path):
    counts = np.array([30, 10])
    even = recipe_loss(Recipe(sampler='balanced', **said), counts)
    half = recipe_loss(Recipe(sampler='ratio', balance=.5, **said), counts)
    plain = recipe_loss(Recipe(**said), counts)
    assert [round(l.settings['tau'], 6) for l in (even, half, plain)] == [0, .4, .8]
    # the fitted head sees the classes as they are
    class Setup: loss = even
    assert np.allclose(prior_shift(Setup), .8*np.log(counts/40))
    write_json(tmp_path / 'recipe.json', dict(recipe=said))
    assert expects_balance(Run(tmp_path))


def test_fields_without_effect_are_named():
    base, given = get_recipe('frozen'), dict(smoothing=.1, lr=1e-3, epochs=9, head='linear', warmup=0.)
    [said] = recipe_notes(get_recipe('frozen', **given), base, given)
    assert said == 'frozen fits its head at once, in no steps; without effect: epochs, lr, smoothing'
    given = dict(loss='logit_adjusted', tau=.5, class_weights='balanced')
    assert recipe_notes(get_recipe('frozen', **given), base, given) == []
    assert recipe_notes(get_recipe('quick', lr=1e-4), get_recipe('quick'), dict(lr=1e-4)) == []


def test_a_warm_up_that_never_ends_is_named():
    for name in RECIPES: assert recipe_notes(get_recipe(name), get_recipe(name), {}) == []
    [said] = recipe_notes(Recipe(warmup=5.), Recipe(), dict(warmup=5.))
    assert said.startswith('warmup 5 is no shorter than its phase of 5 epochs')


def test_they_make_no_other_cell(capsys):
    cells = different_cells(grid_cells('smoothing=0,.1 lr=1e-4,1e-3'), dict(version='frozen'), 'full')
    assert len(cells) == 1 and 'is the same training as' in capsys.readouterr().out
    assert len(different_cells(grid_cells('loss=ce,logit_adjusted'), dict(version='frozen'), 'full')) == 2
    assert len(different_cells(grid_cells('smoothing=0,.1'), dict(version='quick'), 'full')) == 2


def test_a_mistyped_option_is_named_as_one():
    with pytest.raises(BadInput, match=r"'worker' \(did you mean 'workers'\?\)"): options_from(dict(worker=2))


@pytest.mark.parametrize('made, says', [
    (lambda: Recipe(phases=(2,)), r"recipe 'mine' has the phase 2; write phases=\(Phase\(5\), …\)"),
    (lambda: Recipe(phases=2), "recipe 'mine' has the phase 2"),
    (lambda: None, "the recipe 'mine' gives NoneType; its function must return a Recipe"),
    (lambda: Recipe(phases=()), "recipe 'mine' has no phase")])
def test_a_wrong_recipe_of_ones_own_is_one_sentence(made, says, sample, tmp_path):
    made.__name__ = 'mine'
    recipe(made)
    try:
        with pytest.raises(BadInput, match=says):
            rock_nb.fit('mine', data=sample, out=tmp_path, **{**QUICK})
    finally: del RECIPES['mine']


def test_a_lone_phase_is_one():
    assert Recipe(phases=Phase(5)) == Recipe(phases=[Phase(5)]) == Recipe(phases=(Phase(5),))


def test_recipes_are_looked_up_as_in_a_mapping():
    assert 'v9' not in rock_nb.recipes and 'v5' in rock_nb.recipes
    assert rock_nb.recipes.get('v9') is None and rock_nb.recipes.get('v9', 1) == 1
    assert rock_nb.recipes.get('v5') == rock_nb.recipes['v5']
    with pytest.raises(BadInput, match="unknown recipe 'v9'"): rock_nb.recipes['v9']
