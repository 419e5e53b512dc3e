"""The review page in a real browser: end-diastole, end-systole, and copies from beat to beat."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("playwright.sync_api")
pytest.importorskip("fastapi")

from _review_page import MARKS, drag, open_page, positions, saved, states_of, wait_until_ready

pytestmark = MARKS


def test_ed_and_es_are_shown_and_chosen(context, served):
    page = open_page(context, served)
    (ed, es), *_ = served.clips.open(0).facts["beats"]
    page.keyboard.press("s")
    assert page.inner_text("#frame-number") == f"{es + 1} / 8"
    assert page.inner_text("#badge").startswith("ES of beat 1")
    assert "EF follows its contour" in page.inner_text("#ef-source")
    page.keyboard.press("e")
    assert page.inner_text("#frame-number") == f"{ed + 1} / 8"
    before = page.inner_text("#ef")
    page.locator("#frame-slider").fill("1")
    assert "neither ED nor ES: a correction here changes EF only as far as" in page.inner_text("#ef-source")
    page.locator("#carry").click()
    assert "neither ED nor ES: a correction here does not change EF" in page.inner_text("#ef-source")
    page.keyboard.press("Shift+S")
    saved(page)
    assert page.inner_text("#ef") != before
    assert served.corrections.beats("a.avi")[0][0] == (ed, 1)
    page.reload()
    wait_until_ready(page)
    assert page.locator("#beat-list button").nth(1).inner_text() == "ES 2"
    page.locator("#restore-beats").click()
    saved(page)
    assert page.inner_text("#ef") == before
    assert served.corrections.beats("a.avi")[0] is None
    page.locator("#beat-list button").first.click()
    assert page.inner_text("#frame-number") == f"{ed + 1} / 8"


SAME_PHASE = [
    # ED 2, ES 6, ED 12, ES 18: the times between them are 4, 6 and 6 frames
    ([[2, 6], [12, 18]], {0: 10, 2: 12, 3: 14, 4: 15, 6: 18, 9: 21, 11: 23, 12: None, 19: None}),
    ([[12, 18], [2, 6]], {4: 15}),
    ([[6, 2], [18, 12]], {2: 12, 4: 15, 6: 18}),  # ES comes first
    ([[2, 6], [12, 6]], {2: 12, 4: 14, 6: None}),  # two beats share their ES
    ([[2, 6]], {2: None, 6: None}),
    ([], {2: None}),
]


def test_the_same_phase_of_the_next_beat(context, served):
    code = """async (cases) => {
        const { samePhaseOfNextBeat } = await import("./static/beats.js");
        return cases.map(([beats, frames]) => frames.map((frame) => samePhaseOfNextBeat(beats, frame, 24)));
    }"""
    found = open_page(context, served).evaluate(code, [[beats, list(expected)] for beats, expected in SAME_PHASE])
    assert found == [list(expected.values()) for _, expected in SAME_PHASE]


def test_a_contour_is_copied_to_the_next_beat(context, served):
    served.corrections.save_beats("a.avi", ((0, 2), (4, 7)), version=0, effort={})
    page = open_page(context, served)
    before = positions(page)
    drag(page, before[1], before[1] + (4, 0))
    page.keyboard.press("Shift+C")
    assert page.inner_text("#frame-number") == "5 / 8"
    saved(page)
    states = states_of(served)
    assert sorted(states) == [0, 4]
    np.testing.assert_allclose(states[4].handles.points, states[0].handles.points, atol=1e-3)
    assert not states[4].handles.pinned.any()
    assert page.locator("#copy-to-beat").is_disabled()
    page.keyboard.press("Shift+C")  # nothing to copy to
    assert page.inner_text("#frame-number") == "5 / 8"
    page.keyboard.press("z")
    saved(page)
    assert sorted(states_of(served)) == [0]
