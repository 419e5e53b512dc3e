"""Tests of paired differences against enumeration, and Holm's correction against the closed test."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from echoseg.metrics.paired import holm_correction, signed_rank_test

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=5)


def enumerated(differences):
    """The share of all signs of the differences with a rank sum at least as far from the middle."""
    ranks = rankdata(np.abs(differences))
    sums = np.array([ranks[list(signs)].sum() for signs in itertools.product([False, True], repeat=len(ranks))])
    found = ranks[differences > 0].sum()
    return np.mean(np.abs(sums - ranks.sum() / 2) >= abs(found - ranks.sum() / 2) - 1e-9)


@given(st.integers(0, 2**32 - 1), st.integers(1, 7))
def test_signed_rank_test_equals_enumeration(seed, count):
    differences = np.random.default_rng(seed).normal(0.5, 1, count)
    assert signed_rank_test(differences) == pytest.approx(enumerated(differences))
    assert signed_rank_test(np.append(differences, 0.0)) == pytest.approx(enumerated(differences))


def test_signed_rank_test_of_nothing():
    assert signed_rank_test(np.zeros(3)) == 1
    assert np.isnan(signed_rank_test(np.empty(0)))
    assert signed_rank_test(np.full(30, 0.1)) < 0.001  # ties


def closed_test(p_values):
    """For each comparison, the largest Bonferroni p value of all sets of comparisons that contain it."""
    count = len(p_values)
    sets = [chosen for size in range(1, count + 1) for chosen in itertools.combinations(range(count), size)]
    bonferroni = {chosen: min(1.0, len(chosen) * min(p_values[i] for i in chosen)) for chosen in sets}
    return [max(p for chosen, p in bonferroni.items() if i in chosen) for i in range(count)]


@given(P_VALUES)
def test_holm_correction_equals_the_closed_test(p_values):
    np.testing.assert_allclose(holm_correction(np.array(p_values)), closed_test(p_values))


def test_holm_correction_leaves_out_what_was_not_compared():
    np.testing.assert_allclose(holm_correction(np.array([np.nan, 0.02, 0.01])), [np.nan, 0.02, 0.02])
