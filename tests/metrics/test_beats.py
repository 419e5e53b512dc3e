"""Beats are found in simulated curves and phantoms, and not in noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from echoseg.geometry.discs import ejection_fraction
from echoseg.metrics.beats import find_beats
from echoseg.phantom.patient import FPS, Patient


def cosine(frames=120, beats=3.0, start=0.0, size=1000.0, amplitude=0.3):
    """A curve with its maximum at phase 0."""
    phase = 2 * np.pi * (start + beats * np.arange(frames) / frames)
    return size * (1 - amplitude / 2 + amplitude / 2 * np.cos(phase))


@pytest.mark.parametrize("fps", [60.0, np.nan])
def test_each_complete_beat_is_found_once(fps):
    beats = find_beats(cosine(start=0.3, beats=3.9), fps)  # cut off in systole at both ends
    period = 120 / 3.9
    np.testing.assert_allclose(beats, period * (np.array([[1.0, 1.5], [2, 2.5], [3, 3.5]]) - 0.3), atol=1)


def test_a_beat_that_ends_with_the_clip_is_complete():
    assert find_beats(cosine(beats=2), 60).tolist() == [[0, 30], [60, 90]]
    assert find_beats(cosine(frames=91, beats=1.5), 60)[-1].tolist() == [61, 90]


@pytest.mark.parametrize(("start", "beats"), [(0.0, 0.5), (0.5, 0.5), (0.4, 0.7), (0.25, 0.25)])
def test_a_clip_with_less_than_a_beat_gives_its_extremes(start, beats):
    curve = cosine(frames=30, beats=beats, start=start)
    ((ed, es),) = find_beats(curve, 50)
    assert (ed, es) == (curve.argmax(), curve.argmin())


def test_beats_of_different_length_and_depth_are_found():
    """Bigeminy: every second beat is early and weak."""
    beat_shapes = ((40, 0.4), (20, 0.25), (50, 0.4), (20, 0.25))
    curves = [cosine(frames, 1, amplitude=amplitude)[:-1] for frames, amplitude in beat_shapes]
    ends = np.cumsum([0, *map(len, curves)])
    beats = find_beats(np.concatenate([*curves, [1000]]), 50)
    np.testing.assert_allclose(beats[:, 0], ends[:-1], atol=1)
    np.testing.assert_allclose(beats[:, 1], (ends[:-1] + ends[1:]) / 2, atol=1)


@pytest.mark.slow
def test_beats_of_phantoms_match_their_phases():
    """Volume curves with and without noise; the number of complete beats follows from the phases."""
    random = np.random.default_rng(0)
    for index in range(40):
        patient = Patient(3, index)
        volumes, phases = patient.volumes, np.unwrap(patient.phases, period=1)
        true = 100 * (1 - patient.heart.esv / patient.heart.edv)
        systole, cycles = patient.heart.cycle.systole, np.arange(4)

        def complete(margin, phases=phases, systole=systole, cycles=cycles):
            return ((cycles >= phases[0] - margin) & (cycles + systole <= phases[-1] + margin)).sum()

        for curve in (volumes, volumes * random.normal(1, 0.02, len(volumes))):
            beats = find_beats(curve, FPS)
            assert max(1, complete(0)) <= len(beats) <= max(1, complete(0.15))
            found = ejection_fraction(volumes[beats[:, 0]], volumes[beats[:, 1]])
            if complete(0):
                np.testing.assert_allclose(found, true, atol=5)


@pytest.mark.parametrize("level", [0.0, 0.01, 0.1])
def test_noise_has_no_beats(level):
    noise = np.random.default_rng(1).normal(1, level, (50, 100))
    assert sum(len(find_beats(curve, 50)) > 0 for curve in noise) <= 2


def test_missing_sizes_are_interpolated():
    curve = cosine(beats=2)
    curve[[40, 41]], curve[70], curve[80] = 0, np.nan, 5000
    assert find_beats(curve, 60).tolist() == [[0, 30], [60, 90]]
    curve[[28, 29, 30, 31]] = 0  # a beat ends where the nearest size is known
    assert find_beats(curve, 60).tolist() == [[0, 32], [60, 90]]
    for too_few in ([], [5.0], [0.0, 0.0], [np.nan, np.inf, 3.0]):
        assert find_beats(np.array(too_few)).shape == (0, 2)


@given(
    hnp.arrays(np.float64, st.integers(0, 60), elements=st.floats(-1, 1e5) | st.sampled_from([np.nan, np.inf])),
    st.sampled_from([np.nan, 1.0, 25.0, 50.0, 1000.0]),
)
def test_any_curve_gives_beats_in_order(curve, fps):
    ed, es = find_beats(curve, fps).T
    assert (np.isfinite(curve[ed]) & (curve[ed] > 0) & np.isfinite(curve[es]) & (curve[es] > 0)).all()
    assert ((ed >= 0) & (es < max(1, len(curve)))).all()
    if len(ed) > 1:
        assert (ed < es).all()
        assert (es[:-1] < ed[1:]).all()
