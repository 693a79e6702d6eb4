"A round of the soak test, which otherwise runs for hours: train, kill, resume, predict, queue."
import sys

import pytest

from conftest import shell

pytestmark = [pytest.mark.processes, pytest.mark.slow]


def test_a_round():
    r = shell(sys.executable, 'tests/soak.py', '--rounds', 1, '--kills', 1)
    assert r.returncode == 0 and 'rounds: 1; the same bits each time' in r.stdout, r.stdout + r.stderr
