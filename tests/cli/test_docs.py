"""The pages of the project are built from README, docs and notebooks, and every link in them leads somewhere."""
import sys

import pytest

from conftest import ROOT, shell

pytestmark = [pytest.mark.processes, pytest.mark.slow]


def test_the_site_is_built_and_its_links_hold():
    built = shell(sys.executable, 'docs/build.py')
    assert built.returncode == 0, built.stderr[-3000:]
    page = (ROOT / '_docs' / 'nbs' / 'data' / 'split.html').read_text()
    assert (
        'def kfold' in page and 'test_fail' in page and '#| export' not in page
        and 'default_exp' not in page)
    assert list((ROOT / '_docs').glob('nbs/**/*.png')), 'no figure is on the pages'
