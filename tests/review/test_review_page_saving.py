"""The review page in a real browser: saving, conflicts, and changes at unusual moments."""

from __future__ import annotations

import re

import pytest

sync_api = pytest.importorskip("playwright.sync_api")
pytest.importorskip("fastapi")
# ruff: noqa: E402

from _review_page import (
    MARKS,
    area,
    drag,
    on_screen,
    open_page,
    points,
    positions,
    saved,
    states_of,
    wait_for_text,
    wait_until_ready,
)
from _reviewing import BlankAfterTwo, outlines
from echoseg.errors import DataError
from echoseg.review import server
from echoseg.review.learning import LearningState
from echoseg.review.tables import FrameState

pytestmark = MARKS
START = outlines(8)
SAVING = "**/api/clips/0/frames/*"


def refuse_saving(page):
    refusal = {"status": 507, "json": {"detail": "the disk is full"}}
    page.route(SAVING, lambda route: route.fulfill(**refusal) if route.request.method == "POST" else route.continue_())


# ---- saving


@pytest.mark.slow
def test_conflicts_are_settled_one_after_the_other(context, served):
    first = open_page(context, served)
    first.locator("#carry").click()
    second = context.new_page()
    second.goto(f"http://127.0.0.1:{served.port}/")
    wait_until_ready(second)
    for page, index in ((first, 1), (second, 4)):
        page.bring_to_front()
        for frame in (0, 1):
            page.locator("#frame-slider").fill(str(frame))
            drag(page, START[frame][index], START[frame][index] + (0, 3))
            page.keyboard.press("Escape")
        if page is first:
            saved(page)
    wait_for_text(second, "#save-state", "2 not saved")
    wait_for_text(second, "#alert p", "^Frame 1 was also changed in another tab")
    second.get_by_text("The other tab's").click()
    wait_for_text(second, "#alert p", "^Frame 2 was also changed in another tab")
    second.get_by_text("This tab's").click()
    wait_for_text(second, "#save-state", "Saved")
    assert not second.is_visible("#alert")
    moved = [[i for i in range(5) if abs(state.handles.points[i] - START[frame][i]).max() > 1]
             for frame, state in sorted(states_of(served).items())]  # fmt: skip
    assert moved == [[1], [4]]


def test_the_alert_disappears_once_the_change_is_saved(context, served):
    page = open_page(context, served)
    refuse_saving(page)
    drag(page, START[0][1], START[0][1] + (4, 0))
    wait_for_text(page, "#alert p", "is not saved")
    page.unroute(SAVING)
    page.keyboard.press("ArrowRight")
    saved(page)
    sync_api.expect(page.locator("#alert")).to_be_hidden()


def test_a_clip_that_is_opened_again_has_its_unsaved_changes(context, served):
    page = open_page(context, served)
    refuse_saving(page)
    drag(page, START[0][1], START[0][1] + (4, 0))
    wait_for_text(page, "#alert p", "is not saved")
    corrected = area(page)
    for key, number in (("]", 1), ("[", 0)):
        page.keyboard.press(key)
        page.wait_for_selector(f"body[data-ready='{number}']")
    assert area(page) == corrected
    page.unroute(SAVING)
    page.get_by_text("Try again").click()
    assert saved(page) == corrected
    page.keyboard.press("z")
    wait_for_text(page, "#status", "^Undone$")
    saved(page)
    assert states_of(served) == {}


def test_the_history_of_another_folder_is_not_that_of_this_one(context, served):
    found = open_page(context, served).evaluate(
        """async () => {
            const { History } = await import("./static/history.js");
            const histories = ["/one", "/one/readers/Bea", "/one"].map((folder, i) => {
                const history = new History();
                history.open(folder);
                if (i === 0) history.push({ clip: "a.avi", frame: 0 });
                return history;
            });
            return histories.map((history) => history.canUndo);
        }"""
    )
    assert found == [True, False, True]


def test_a_note_is_the_same_after_the_page_was_loaded_again(context, served):
    page = open_page(context, served)
    page.keyboard.press("x")
    page.keyboard.type(" apex  cut ")
    page.keyboard.press("Enter")
    saved(page)
    assert states_of(served) == {0: FrameState(None, "rejected", "apex cut")}
    page.reload()
    wait_until_ready(page)
    page.keyboard.press("z")
    wait_for_text(page, "#status", "^Undone$")


@pytest.mark.parametrize("served", ["mask"], indirect=True)
def test_a_frame_that_is_accepted_without_a_contour_gets_none(context, served):
    served.clips.predictor = BlankAfterTwo("mask")
    page = open_page(context, served)
    start = positions(page)
    drag(page, start[4], start[4] + (4, 0))
    saved(page)
    page.locator("#frame-slider").fill("1")
    sync_api.expect(page.locator("path[data-layer=correction].dashed")).to_have_attribute("d", re.compile("^M"))
    page.locator("#frame-slider").fill("5")
    page.keyboard.press("Enter")
    saved(page)
    assert states_of(served)[5] == FrameState(None, "accepted", "", ())


# ---- keys at unusual moments


def test_arrow_keys_change_the_frame_after_an_added_point_was_undone(context, served):
    page = open_page(context, served)
    points(page).nth(4).focus()
    page.keyboard.press("a")
    assert points(page).count() == 6
    page.keyboard.press("z")
    assert points(page).count() == 5
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#frame-number") == "2 / 8"


def test_arrow_keys_change_the_frame_while_points_are_hidden(context, served):
    page = open_page(context, served)
    page.mouse.click(*on_screen(page, START[0][1]))
    page.keyboard.press("4")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#frame-number") == "2 / 8"
    assert states_of(served) == {}


def test_a_point_that_is_moved_while_the_clip_plays_stops_it(context, served):
    page = open_page(context, served)
    page.locator("#speed").select_option("0.25")
    page.mouse.click(*on_screen(page, START[0][1]))
    page.keyboard.press(" ")
    wait_for_text(page, "#play", "Pause")
    page.keyboard.press("ArrowRight")
    wait_for_text(page, "#play", "Play")
    saved(page)
    (frame,) = states_of(served)
    assert page.inner_text("#frame-number") == f"{frame + 1} / 8"


def test_a_frame_that_is_not_loaded_shows_no_other_picture(context, served, monkeypatch):
    monkeypatch.setattr(server, "MAX_FRAME_BYTES", 2 * 40 * 48)
    context.route("**/frames?start=2*", lambda route: None)
    page = open_page(context, served)
    read = "canvas => [...canvas.getContext('2d').getImageData(0, 0, 1, 1).data]"
    page.locator("#frame-slider").fill("1")
    image = page.locator("canvas.image")
    level = int(served.clips.open(0).clip.frames[1, 0, 0])
    assert image.evaluate(read)[0] == pytest.approx(level)
    page.locator("#frame-slider").fill("6")
    assert image.evaluate(read) == [0, 0, 0, 0]


def test_learning_that_another_tab_has_started_is_shown(context, served, monkeypatch):
    def start():
        raise DataError("the network is learning already")

    page = open_page(context, served)
    monkeypatch.setattr(served.learning, "start", start)
    monkeypatch.setattr(served.learning, "state", LearningState("training", 0.3, 60.0))
    page.click("#learn")
    sync_api.expect(page.locator("#stop-learning")).to_be_visible()
    assert page.is_visible("#learn-progress-box")
    monkeypatch.setattr(served.learning, "state", LearningState("done", 1.0, left_out="p2: a series", run="/learned"))
    sync_api.expect(page.locator("#learn-result")).to_contain_text("Left out: p2: a series. The new network is in")
