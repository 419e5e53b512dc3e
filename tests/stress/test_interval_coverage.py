"""Intervals contain the true value about as often as they should; `interval_coverage.py` simulates this at length."""

from __future__ import annotations

import pytest

from stress.interval_coverage import coverage


@pytest.mark.slow
@pytest.mark.stress
def test_intervals_contain_the_true_value_in_about_95_percent_of_the_repetitions():
    found = coverage(patients=40, repetitions=150)
    assert len(found) == 7
    assert all(0.88 <= share <= 0.995 for share in found.values()), found
