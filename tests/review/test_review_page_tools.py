"""The review page in a real browser: reviewing, beats, carrying, and how the picture is looked at."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

import numpy as np
import pytest

sync_api = pytest.importorskip("playwright.sync_api")
pytest.importorskip("fastapi")
# ruff: noqa: E402

import pathlib

from _review_page import (
    MARKS,
    drag,
    no_errors,
    on_screen,
    open_page,
    points,
    positions,
    saved,
    states_of,
    wait_for_text,
    wait_until_ready,
)
from _reviewing import outlines
from echoseg import review
from echoseg.review.learning import LearningState
from echoseg.review.tables import FrameState

pytestmark = MARKS


# ---- reviewing


def test_what_was_guessed_in_reading_the_file_is_shown(context, served):
    for number, note in ((0, "axis 3 (8) is taken for time"), (1, "")):
        served.clips.open(number).facts["reading_note"] = note
    page = open_page(context, served)
    assert page.locator("#reading-note").inner_text() == "This file: axis 3 (8) is taken for time."
    page.locator("#clip").select_option(index=1)
    page.locator("#reading-note").wait_for(state="hidden")


def test_frames_are_accepted_and_rejected_until_the_summary(context, served):
    page = open_page(context, served)
    wait_for_text(page, "#progress-text", "^0 of 2 reviewed$")
    page.keyboard.press("n")
    assert page.inner_text("#frame-number") == "8 / 8"
    assert "to review" in page.inner_text("#badge")
    page.keyboard.press("Enter")
    assert page.inner_text("#frame-number") == "4 / 8", "accepting goes on to the next frame"
    wait_for_text(page, "#progress-text", "^1 of 2 reviewed$")
    page.keyboard.press("x")
    page.keyboard.type("poor image, n")
    page.keyboard.press("Enter")
    wait_for_text(page, "#summary-text", "^All frames are reviewed: 1 accepted, 1 rejected\\.")
    saved(page)
    predicted = served.clips.open(0).accepted(7)
    accepted, rejected = FrameState(None, "accepted", "", predicted), FrameState(None, "rejected", "poor image, n")
    assert states_of(served) == {7: accepted, 3: rejected}
    assert "✓ reviewed" in page.locator("#clip option").first.inner_text()

    page.keyboard.press("x")
    page.keyboard.press("Escape")
    assert states_of(served)[3].note == "poor image, n", "a dialog that is closed changes nothing"
    page.reload()
    wait_until_ready(page)
    wait_for_text(page, "#progress-text", "^2 of 2 reviewed$")
    wait_for_text(page, "#frame-state", "rejected: poor image, n")
    page.locator("#summary-next").click()
    page.wait_for_selector("body[data-ready='1']")


def test_undo_works_over_frames_clips_and_reloads(context, served):
    page = open_page(context, served)
    start = outlines(8)[0]
    drag(page, start[1], start[1] + (4, 0))
    page.keyboard.press(".")
    page.keyboard.press("Enter")
    page.keyboard.press("]")
    page.wait_for_selector("body[data-ready='1']")
    page.keyboard.press("Enter")
    saved(page)
    assert (sorted(states_of(served)), sorted(states_of(served, "b.avi"))) == ([0, 1], [0])
    page.reload()
    wait_until_ready(page)
    page.keyboard.press("z")
    page.keyboard.press("z")
    page.wait_for_selector("body[data-ready='0']")
    wait_for_text(page, "#status", "^Undone$")
    assert page.inner_text("#frame-number") == "2 / 8", "the frame of the change is shown"
    page.keyboard.press("z")
    wait_for_text(page, "#frame-number", "^1 / 8$")
    saved(page)
    assert (states_of(served), states_of(served, "b.avi")) == ({}, {})
    page.keyboard.press("Shift+Z")
    saved(page)
    np.testing.assert_allclose(served.corrections.of("a.avi")[0][0].points[1], start[1] + (4, 0), atol=0.05)


def test_a_change_of_a_file_that_is_not_reviewed_now_does_not_block_the_others(context, served):
    page = open_page(context, served)
    page.keyboard.press("Enter")
    saved(page)
    page.evaluate(
        """() => {
            const key = Object.keys(sessionStorage).find((each) => each.startsWith("echoseg-changes"));
            const { done } = JSON.parse(sessionStorage.getItem(key));
            done.push({ ...done[0], clip: "gone.avi" });
            sessionStorage.setItem(key, JSON.stringify({ done, undone: [] }));
        }"""
    )
    page.reload()
    wait_until_ready(page)
    page.keyboard.press("z")
    wait_for_text(page, "#status", "cannot be undone: gone.avi is not among these files")
    page.keyboard.press("z")
    wait_for_text(page, "#status", "^Undone$")
    saved(page)
    assert states_of(served) == {}


# ---- beats


# ---- carrying


@pytest.mark.parametrize("served", ["landmark", "mask"], indirect=True)
def test_corrections_are_carried_to_the_other_frames(context, served):
    page = open_page(context, served)
    loaded = served.clips.open(0)
    before = positions(page)
    drag(page, before[1], before[1] + (4, 0))
    saved(page)
    page.keyboard.press(".")
    carried = page.locator("path[data-layer=correction].dashed")
    sync_api.expect(carried).to_have_attribute("d", re.compile("^M"))
    states = {frame: state for frame, (state, _) in served.corrections.states("a.avi").items()}
    expected = served.clips.carried(loaded, states)
    if expected.landmarks is not None:
        np.testing.assert_allclose(positions(page), expected.landmarks[1], atol=1e-3)
    volumes = served.clips.measure(loaded, expected).volumes
    known = served.clips.measure(loaded, expected).mean_ef
    assert float(page.inner_text("#volume").split()[0]) == pytest.approx(volumes[1], abs=0.5)
    assert float(page.inner_text("#ef").split()[0]) == pytest.approx(known, abs=0.06)
    assert page.inner_text("#volume-predicted") != page.inner_text("#volume")

    page.keyboard.press("Enter")  # what was carried is accepted as it is shown
    saved(page)
    accepted = states_of(served)[1]
    assert accepted.verdict == "accepted"
    assert not accepted.handles.pinned.any()
    page.locator("#frame-slider").fill("2")
    page.locator("#carry").click()
    sync_api.expect(carried).not_to_have_attribute("d", re.compile("^M"))
    np.testing.assert_allclose(positions(page), loaded.handles[2].points, atol=1e-3)


@pytest.mark.slow
def test_learning_shows_its_progress_and_its_verdict(context, served, monkeypatch):
    learning, calls = served.learning, []
    monkeypatch.setattr(learning, "start", lambda: calls.append("start"))
    monkeypatch.setattr(learning, "stop", lambda: calls.append("stop"))
    monkeypatch.setattr(learning, "state", LearningState("training", 0.255, 90.5))
    page = open_page(context, served)  # as if another tab had started it
    sync_api.expect(page.locator("#learn-text")).to_have_text("Learning: 25 %, 2 min left")
    assert page.locator("#learn").is_disabled()
    page.click("#stop-learning")
    learning.state = LearningState("comparing", 1.0)
    sync_api.expect(page.locator("#learn-text")).to_have_text("Comparing with the network before …")
    verdict = {"images": 4, "patients": 2, "before": 0.8, "after": 0.9, "difference": 0.1, "low": -0.02, "high": 0.2}
    learning.state = LearningState("done", 1.0, run="/runs/learned", verdict=verdict)
    result = page.locator("#learn-result")
    sync_api.expect(result).to_contain_text("Dice 0.800 before, 0.900 after, +0.100 (95 % −0.020 to +0.200).")
    assert page.inner_text("#learn-run") == "/runs/learned"
    assert not page.is_visible("#stop-learning")
    learning.state = LearningState("failed", message="out of memory")
    page.click("#learn")
    sync_api.expect(result).to_have_text("Failed: out of memory")
    assert calls == ["stop", "start"]


# ---- looking at the picture


def zoom_factor(page) -> float:
    view, stage = (page.locator(selector).bounding_box() for selector in ("#image-view", ".stage"))
    return stage["width"] / view["width"]


def test_zoom_and_pan(context, served):
    page = open_page(context, served)
    page.locator("#close-hint").click()
    start = outlines(8)[0]
    place = on_screen(page, start[1])
    page.mouse.move(*place)
    page.mouse.wheel(0, -600)
    assert zoom_factor(page) > 2
    box = page.locator("#image-view svg").bounding_box()
    scale = box["width"] / 48
    np.testing.assert_allclose(
        (box["x"] + (start[1][0] + 0.5) * scale, box["y"] + (start[1][1] + 0.5) * scale), place, atol=1.5
    )
    drag(page, start[1], start[1] + (2, 0))
    saved(page)
    np.testing.assert_allclose(served.corrections.of("a.avi")[0][0].points[1], start[1] + (2, 0), atol=0.05)
    view = page.locator("#image-view").bounding_box()
    page.mouse.move(view["x"] + 30, view["y"] + 60)
    page.mouse.down()
    page.mouse.move(view["x"] + 80, view["y"] + 60, steps=3)
    page.mouse.up()
    assert page.locator("#image-view svg").bounding_box()["x"] == pytest.approx(box["x"] + 50, abs=1.5)
    page.keyboard.press("0")
    assert zoom_factor(page) == pytest.approx(1)
    page.keyboard.press("v")
    assert zoom_factor(page) > 1
    shown = page.locator(".points").bounding_box()
    assert view["x"] <= shown["x"]
    assert shown["x"] + shown["width"] <= view["x"] + view["width"]
    for key, factor in (("0", 1), ("+", 1.5), ("-", 1)):
        page.keyboard.press(key)
        assert zoom_factor(page) == pytest.approx(factor, abs=0.01)


def test_two_fingers_zoom(browser, served):
    phone = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    with no_errors(phone) as context:
        page = open_page(context, served)
        box = page.locator("#image-view").bounding_box()
        centre = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        fingers = context.new_cdp_session(page)

        def touch(kind, apart=None):
            ends = (
                []
                if apart is None
                else [{"x": centre[0] + sign * apart, "y": centre[1], "id": sign} for sign in (0, 1)]
            )
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": ends})

        touch("touchStart", 40)
        for apart in (60, 80, 120):
            touch("touchMove", apart)
        touch("touchEnd")
        assert zoom_factor(page) > 1.5
        assert states_of(served) == {}
        toolbar, picture = (page.locator(each).bounding_box() for each in ("#undo", "#image-view"))
        assert toolbar["y"] - (picture["y"] + picture["height"]) < 60, "Undo is beside the picture"


def test_the_circles_that_grab_points_do_not_overlap(browser, served):
    phone = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    with no_errors(phone) as context:
        page = open_page(context, served)
        for _ in range(3):
            page.locator(".points g").first.focus()
            page.keyboard.press("a")
        places = positions(page)
        radii = np.array(
            points(page).locator(".target").evaluate_all("all => all.map((each) => Number(each.getAttribute('r')))")
        )
        distances = np.linalg.norm(places[:, None] - places, axis=2) + np.diag(np.full(len(places), np.inf))
        assert (radii[:, None] + radii <= distances + 1e-4).all()


def test_brightness_scale_and_ruler(context, served):
    page = open_page(context, served)

    def shown_levels():
        read = "canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
        return np.array(page.locator("canvas.image").evaluate(read)).reshape(-1, 4)[:, 0]

    recorded = served.clips.open(0).clip.frames[0].ravel()
    sync_api.expect(page.locator("#cover")).to_be_hidden()
    np.testing.assert_array_equal(shown_levels(), recorded)
    page.locator("#brightness").fill("60")
    brighter = shown_levels()
    assert (brighter >= recorded).all()
    assert brighter.mean() > recorded.mean()
    page.keyboard.press("b")
    page.reload()
    wait_until_ready(page)
    assert page.locator("#auto-brightness").get_attribute("aria-pressed") == "true"
    page.locator("#reset-brightness").click()
    np.testing.assert_array_equal(shown_levels(), recorded)

    assert page.inner_text(".scale-bar") == "10 px"
    bar = page.locator(".scale-bar").bounding_box()["width"]
    assert bar == pytest.approx(10 * page.locator("#image-view svg").bounding_box()["width"] / 48, rel=0.01)
    page.evaluate("scrollTo(0, 0)")
    page.keyboard.press("m")
    drag(page, np.array([10, 10]), np.array([13, 14]))
    wait_for_text(page, ".ruler-length", "^5\\.0 px$")
    page.keyboard.press("Escape")
    wait_for_text(page, ".ruler-length", "^$")
    assert states_of(served) == {}


def test_the_curves_stay_within_their_plots(context, served):
    page = open_page(context, served)
    for curve in ("#area-curve", "#volume-curve"):
        grid = page.locator(f"{curve} [data-part=grid]").bounding_box()
        plot = page.locator(f"{curve} svg").bounding_box()
        assert grid["x"] >= plot["x"] - 2
        assert grid["x"] + grid["width"] <= plot["x"] + plot["width"] + 2
        assert page.locator(f"{curve} .y-axis span").count() >= 3
        assert "px" in page.locator(f"{curve} figcaption").inner_text()


def test_the_page_says_that_contours_are_smoothed(context, served, monkeypatch):
    predict = served.clips.predictor
    monkeypatch.setattr(served.clips, "predictor", lambda clip: dataclasses.replace(predict(clip), smoothed=True))
    served.clips.predictor.calibration = None
    page = open_page(context, served)
    assert page.inner_text("#prediction-name") == "Prediction, smoothed over time"


def test_colours_and_hint_are_remembered(context, served):
    page = open_page(context, served)
    assert page.locator("#hint").is_visible()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#close-hint").click()
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != background
    page.reload()
    wait_until_ready(page)
    assert not page.locator("#hint").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != background


AXE = Path(os.environ.get("ECHOSEG_AXE", "node_modules/axe-core/axe.min.js"))


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: npm install --no-save axe-core")
@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_accessibility_checker_finds_nothing_serious(browser, served, colours, width):
    size = {"width": width, "height": 860}
    with no_errors(browser.new_context(viewport=size, color_scheme=colours, bypass_csp=True)) as context:
        page = open_page(context, served)
        page.add_script_tag(path=AXE)

        def findings(part="document"):
            found = page.evaluate(f"axe.run({part})")["violations"]
            return [(each["id"], each["nodes"][0]["target"]) for each in found if each["impact"] != "minor"]

        assert findings() == []
        start = outlines(8)[0]
        drag(page, start[1], start[1] + (4, 0))
        page.keyboard.press("Shift+E")
        for key in ("n", "Enter", "7"):
            page.keyboard.press(key)
        saved(page)
        assert findings() == []
        for key, dialog in (("x", "#reject-dialog"), ("?", "#help")):
            page.keyboard.press(key)
            assert findings(f"'{dialog}'") == []
            page.keyboard.press("Escape")
        (served.data / "Videos" / "b.avi").write_bytes(b"")
        page.keyboard.press("]")
        wait_for_text(page, "#cover", "cannot be opened")
        assert findings() == []


def test_the_help_lists_every_key():
    static = review.__path__[0] + "/static/"
    with pathlib.Path(static + "keyboard.js").open(encoding="utf-8") as file:
        listed = re.search(r"BUTTON_KEYS = \{(.*?)\};", file.read(), re.DOTALL)[1]
    keys = {quoted or bare for quoted, bare in re.findall(r'(?:"([^"]+)"|(\w+)): "', listed)}
    with pathlib.Path(static + "index.html").open(encoding="utf-8") as file:
        helped = set(re.findall(r"<kbd>([^<]+)</kbd>", file.read()))
    names = {" ": "Space", "=": "+"}
    shifted = {key for key in keys if len(key) == 1 and key.isupper()}
    assert {names.get(key, key) for key in keys - shifted} <= helped
    assert {key.lower() for key in shifted} <= helped
