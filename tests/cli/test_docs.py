"""The pages of the project are built from README, docs and notebooks, and every link in them leads somewhere."""
import re
import sys

import pandas as pd
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


def blocks(text: str) -> list[str]:
    "The code blocks and the targets of the links of a page."
    return re.findall(r'```\w*\n(.*?)```', text, re.S) + re.findall(r'\]\(([^)]+)\)', text)


def test_the_readme_is_one_page_and_says_the_same_in_korean():
    text, korean = ((ROOT / name).read_text(encoding='utf-8') for name in ('README.md', 'README.ko.md'))
    assert len(text.split()) <= 500
    assert text.index('make demo') < text.index('make test') < text.index('##'), 'the two commands come first'
    same = {'README.md': 'README.ko.md'}
    assert [same.get(b, b) for b in blocks(korean)] == blocks(text)
    for place in blocks(text):
        if place.startswith(('docs/', 'nbs/', 'README', 'C')) and '\n' not in place: assert (ROOT / place).exists(), place


def test_what_was_measured_comes_from_records():
    "Every number of the page is computed from a record, and every record is on it."
    import measured
    assert measured.PAGE.read_text(encoding='utf-8') == measured.page(), 'run: python docs/measured.py'
    assert {name for name, *_ in measured.PARTS} == {f.name for f in measured.RECORDS.iterdir()}


def test_what_is_suggested_comes_from_records():
    import measured
    from rock_nb.bench.quality import summarise
    from rock_nb.training.suggestion import MEASURED
    for at, file in {(475, 25): 'quality-25-types.csv', (1249, 7): 'quality-seven-types.csv'}.items():
        runs = pd.read_csv(measured.RECORDS / file)
        longest, found = runs.groupby('name').seconds.max(), summarise(runs, 'frozen')
        assert MEASURED[at] == {
            name: (round(longest[name]), *round(found.loc[name, ['gain', 'gain_low', 'gain_high']], 3))
            for name in found.index}
