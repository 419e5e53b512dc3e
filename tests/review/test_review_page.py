"""The review page in a real browser: what a user does by mouse, touch and keyboard, and what is saved of it."""

from __future__ import annotations

import itertools
import json
import re

import numpy as np
import pytest

sync_api = pytest.importorskip("playwright.sync_api")
pytest.importorskip("fastapi")
# ruff: noqa: E402

from _predictions import of_landmarks
from _review_page import (
    DRAWING,
    MARKS,
    SIZE,
    area,
    drag,
    focused_label,
    no_errors,
    on_screen,
    open_page,
    painted,
    points,
    positions,
    saved,
    true_area,
    wait_for_text,
    wait_until_ready,
)
from _reviewing import CODEC, outlines, review_server
from echoseg.geometry.discs import disc_volumes, long_axis
from echoseg.geometry.spline import OUTLINES, join_points
from echoseg.inference.measure import measure
from echoseg.io.clip import Clip
from echoseg.ops import fill_polygons
from echoseg.review.handles import Handles

pytestmark = MARKS


@pytest.mark.slow
def test_drag_undo_redo_save_reload(context, served):
    page = open_page(context, served)
    start = outlines(8)[0]
    np.testing.assert_allclose(positions(page), start, atol=1e-3)
    before = area(page)
    assert before == true_area(start)
    fraction = page.inner_text("#ef")

    page.mouse.move(*on_screen(page, start[1]))
    page.mouse.down()
    page.mouse.move(*on_screen(page, start[1] + (10, 0)), steps=5)
    moved = start + (np.arange(5) == 1)[:, None] * np.array([10.0, 0.0])
    np.testing.assert_allclose(positions(page), moved, atol=0.05)
    expected = true_area(positions(page))
    assert area(page) == expected > before + 50, "the area follows while the button is down"
    page.mouse.up()
    assert saved(page) == expected, "the server measures the same area"
    assert page.inner_text("#ef") != fraction, "frame 1 is at the end of diastole"
    assert painted(page) == expected

    page.keyboard.press("z")
    assert area(page) == before
    wait_for_text(page, "#ef", f"^{re.escape(fraction)}$")
    np.testing.assert_allclose(positions(page), start, atol=1e-3)
    assert saved(page) == before
    page.keyboard.press("Shift+Z")
    assert area(page) == expected
    assert saved(page) == expected
    wait_for_text(page, "#clip option >> nth=0", "0 of 2 reviewed · 1 corrected")

    page.reload()
    wait_until_ready(page)
    assert area(page) == expected
    np.testing.assert_allclose(positions(page), moved, atol=0.05)
    table = (served.corrections.folder / "VolumeTracings.csv").read_text().splitlines()
    assert (table[0], len(table)) == ("FileName,X1,Y1,X2,Y2,Frame", 22)
    correction = served.corrections.of("a.avi")[0][0]
    np.testing.assert_allclose(correction.points, moved, atol=0.05)
    np.testing.assert_array_equal(correction.pinned, np.arange(5) == 1)
    audit = [json.loads(line) for line in (served.corrections.folder / "audit.jsonl").read_text().splitlines()]
    assert [line["drags"] for line in audit] == [1, 0, 0]


def test_keyboard_alone(context, served):
    page = open_page(context, served)
    start = outlines(8)[0]
    for _ in range(40):
        page.keyboard.press("Tab")
        label = focused_label(page)
        if label.startswith("apex"):
            break
    assert label == "apex, x 24.00, y 6.00"
    page.keyboard.press("Tab")
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    moved = start[1] + (0.25 + 0.25 - 1, -0.25)
    np.testing.assert_allclose(positions(page)[1], moved, atol=1e-3)
    assert focused_label(page).startswith("wall 1, moved, x ")
    for _ in range(4):
        page.keyboard.press("z")
    np.testing.assert_allclose(positions(page), start, atol=1e-3)
    page.keyboard.press("Control+y")
    np.testing.assert_allclose(positions(page)[1], start[1] + (0.25, 0), atol=1e-3)
    page.keyboard.press("p")
    assert saved(page) == true_area(start)

    page.keyboard.press("a")
    assert points(page).count() == 6
    assert focused_label(page).startswith("added point")
    page.keyboard.press("Delete")
    assert points(page).count() == 5
    page.keyboard.press("Shift+Tab")  # the apex stays
    page.keyboard.press("Delete")
    assert points(page).count() == 5

    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("c")
    assert page.inner_text("#frame-number") == "2 / 8"
    assert saved(page)
    np.testing.assert_allclose(served.corrections.of("a.avi")[1][0].points, positions(page), atol=1e-3)
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#frame-number") == "3 / 8"
    page.keyboard.press("n")
    assert page.inner_text("#frame-number") == "8 / 8", "the widest interval of the area"
    page.keyboard.press("]")
    page.wait_for_selector("body[data-ready='1']")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()


def test_a_drag_ended_by_another_clip_changes_nothing(context, served):
    page = open_page(context, served)
    start = outlines(8)[0]
    before = area(page)
    page.mouse.move(*on_screen(page, start[1]))
    page.mouse.down()
    page.mouse.move(*on_screen(page, start[1] + (6, 0)))
    assert area(page) > before
    page.keyboard.press("]")
    page.wait_for_selector("body[data-ready='1']")
    page.mouse.up()
    page.keyboard.press("[")
    page.wait_for_selector("body[data-ready='0']")
    assert area(page) == before
    assert served.corrections.of("a.avi") == {}
    page.goto(f"http://127.0.0.1:{served.port}/#clip=99&frame=99")
    page.reload()
    assert wait_until_ready(page).inner_text("#frame-number") == "8 / 8"


def test_touch(browser, served):
    phone = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    with no_errors(phone) as context:
        page = open_page(context, served)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        fingers = context.new_cdp_session(page)
        start = outlines(8)[0]

        def touch(kind, place=None):
            points = [] if place is None else [dict(zip("xy", on_screen(page, place), strict=True))]
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        touch("touchStart", start[1] + (0.5, 0.5))  # a finger is not exact
        for share in (0.3, 0.6, 1.0):
            touch("touchMove", start[1] + (0.5 + 5 * share, 0.5))
        touch("touchEnd")
        assert saved(page) == true_area(positions(page))
        np.testing.assert_allclose(positions(page)[1], start[1] + (5, 0), atol=0.1)
        assert page.evaluate("scrollY") == 0, "the page does not scroll"


@pytest.mark.slow
def test_two_tabs(context, served):
    first = open_page(context, served)
    second = context.new_page()
    second.goto(f"http://127.0.0.1:{served.port}/")
    wait_until_ready(second)
    start = outlines(8)[0]
    drag(first, start[1], start[1] + (4, 0))
    first_area = saved(first)

    second.bring_to_front()
    drag(second, start[4], start[4] - (4, 0))
    second.wait_for_selector("#alert:visible")
    assert "also changed in another tab" in second.inner_text("#alert")
    np.testing.assert_allclose(served.corrections.of("a.avi")[0][0].points, positions(first), atol=1e-3)
    second.get_by_text("The other tab's").click()
    assert area(second) == first_area

    drag(second, start[4], start[4] - (4, 0))
    second_area = saved(second)
    first.bring_to_front()
    drag(first, start[3], start[3] + (0, 3))
    first.wait_for_selector("#alert:visible")
    first.get_by_text("This tab's").click()
    assert saved(first) not in (first_area, second_area)
    np.testing.assert_allclose(served.corrections.of("a.avi")[0][0].points, positions(first), atol=1e-3)


def test_a_correction_that_cannot_be_saved_is_reported(browser, tmp_path):
    context = browser.new_context()
    with review_server(tmp_path) as served:
        page = open_page(context, served)
    start = outlines(8)[0]
    drag(page, start[1], start[1] + (4, 0))
    page.wait_for_selector("#alert:visible")
    assert "is not saved" in page.inner_text("#alert")
    assert area(page) == true_area(positions(page)), "the correction is still shown"
    context.close()


def test_saving_goes_on_after_an_error(context, served):
    """One entry fails to be saved; another one fails even to be reported. Those after them are saved all the same."""
    results = open_page(context, served).evaluate(
        """async () => {
            const { SaveQueue } = await import("./static/api.js");
            const [saved, reported, thrown] = [[], [], []];
            window.addEventListener("unhandledrejection", (event) => {
                event.preventDefault();
                thrown.push(event.reason.message);
            });
            const send = async ({ name }) => {
                if (name.startsWith("bad")) throw new Error(name);
                saved.push(name);
            };
            const report = ({ name }, error) => {
                reported.push(name);
                if (name === "bad report") throw error;
            };
            const queue = new SaveQueue(send, report);
            const put = (...names) => names.forEach((name) => queue.put(name, { name, seconds: 0, drags: 0 }));
            const settle = () => new Promise((resolve) => setTimeout(resolve, 50));
            put("a", "bad", "b");
            await settle();
            put("bad report");
            await settle();
            put("c");
            await settle();
            return { saved, reported, thrown };
        }"""
    )
    assert results == {
        "saved": ["a", "b", "c"],
        "reported": ["bad", "bad report"],
        "thrown": ["bad report"],
    }


def test_corrections_that_failed_are_saved_by_another_try(context, served):
    page = open_page(context, served)
    page.route("**/api/clips/0/frames/*", lambda route: route.fulfill(status=507, json={"detail": "the disk is full"}))
    start = outlines(8)
    drag(page, start[0][1], start[0][1] + (4, 0))
    wait_for_text(page, "#alert p", "^The change of frame 1 is not saved: the disk is full\\.$")
    page.keyboard.press("Escape")
    page.keyboard.press(".")
    drag(page, start[1][1], start[1][1] + (4, 0))
    wait_for_text(page, "#alert p", "^2 changes are not saved: the disk is full\\.$")
    assert served.corrections.of("a.avi") == {}
    page.unroute("**/api/clips/0/frames/*")
    page.get_by_text("Try again").click()
    assert saved(page)
    assert sorted(served.corrections.of("a.avi")) == [0, 1]


def test_other_landmarks_are_updated(context, served):
    page = open_page(context, served)
    start = outlines(8)[0]
    assert page.locator("#update-others").is_disabled()
    drag(page, start[1], start[1] + (4, 0))
    page.keyboard.press("r")
    sync_api.expect(points(page).nth(0)).not_to_have_attribute("transform", "translate(24 6)")
    np.testing.assert_allclose(positions(page)[1], start[1] + (4, 0), atol=0.05)
    np.testing.assert_allclose(positions(page)[[0, 2, 3, 4]] - start[[0, 2, 3, 4]], [[1.5, 1.5]] * 4, atol=0.05)
    page.keyboard.press("z")
    np.testing.assert_allclose(positions(page)[0], start[0], atol=1e-3)


def test_layers_and_threshold(context, served):
    page = open_page(context, served)
    page.keyboard.press(".")
    page.keyboard.press(".")
    layers = {name: page.locator(f"path[data-layer={name}]") for name in ("truth", "prediction", "correction")}
    assert [bool(layer.get_attribute("d")) for layer in layers.values()] == [True, True, False]
    page.keyboard.press("1")
    page.keyboard.press("2")
    assert not any(layer.get_attribute("d") for layer in layers.values())

    found = served.clips.open(0)
    page.keyboard.press("7")
    page.locator("#threshold-level").fill("100")
    inside = int((found.probabilities[2] >= 100).sum())
    wait_for_text(page, "#threshold-result", f" {inside} px selected; their Dice .* is 1.000")
    page.locator("#threshold-source").select_option("dark")
    dark = int((found.clip.frames[2] < 100).sum())
    wait_for_text(page, "#threshold-result", f"^100: {dark} px")
    page.keyboard.press("6")
    assert painted(page) > inside, "the heatmap covers the whole frame"


def test_curve_playback_and_frames_to_review(context, served):
    page = open_page(context, served)
    box = page.locator("#area-curve svg").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 5 / 7, box["y"] + box["height"] / 2)
    assert page.inner_text("#frame-number") == "6 / 8"
    page.locator("#review-list button").first.click()
    assert page.inner_text("#frame-number") == "8 / 8"
    page.locator("#frame-slider").fill("2")
    assert page.inner_text("#frame-number") == "3 / 8"
    assert page.url.endswith("#clip=0&frame=2")
    page.locator("#play").click()
    sync_api.expect(page.locator("#frame-number")).not_to_have_text("3 / 8")
    page.locator("#play").click()
    shown = page.inner_text("#frame-number")
    page.reload()
    assert wait_until_ready(page).inner_text("#frame-number") == shown


@pytest.mark.parametrize("served", ["mask"], indirect=True)
def test_points_of_the_mask_approach(context, served):
    page = open_page(context, served)
    assert points(page).count() == 16
    assert area(page) == served.clips.open(0).facts["areas"][0]
    start = positions(page)
    drag(page, start[4], start[4] + (5, 0))
    assert saved(page) == area(page) > served.clips.open(0).facts["areas"][0]
    page.mouse.dblclick(*on_screen(page, (start[8] + start[9]) / 2))
    assert points(page).count() == 17
    page.keyboard.press("Delete")
    page.keyboard.press("Delete")
    assert points(page).count() == 15
    saved(page)
    assert len((served.corrections.folder / "Landmarks.csv").read_text().splitlines()) == 16


def test_a_clip_that_cannot_be_opened_locks_the_page(context, served):
    """Selector, picture and name belong together: nothing of the clip before is shown or can be edited."""
    (served.data / "Videos" / "b.avi").write_bytes(b"")
    page = open_page(context, served)
    start = outlines(8)[0]
    place = on_screen(page, start[1])
    page.keyboard.press("]")
    wait_for_text(page, "#cover", r"^b\.avi cannot be opened\. .*is empty; replace the file")
    assert page.locator("#clip").input_value() == "1"
    assert "cannot be opened" in page.locator("#clip option").nth(1).inner_text()
    for selector in ("#image-view svg", "#ef", "#accept", "#frame-slider", "#volume-curve", "#review-list"):
        assert not page.locator(selector).is_visible(), selector
    page.mouse.move(*place)
    page.mouse.down()
    page.mouse.move(place[0] + 40, place[1], steps=3)
    page.mouse.up()
    for key in ("Enter", "x", "c", "z", "p", "Shift+E", " ", "ArrowRight", "a", "4"):
        page.keyboard.press(key)
    assert not (served.corrections.folder / "audit.jsonl").exists()
    page.reload()
    wait_for_text(page, "#cover", r"^b\.avi cannot be opened")
    page.keyboard.press("]")
    page.wait_for_selector("body[data-ready='2']")
    assert page.locator("#image-view svg").is_visible()
    assert not page.locator("#cover").is_visible()


def test_messages_disappear_with_their_frame(context, served):
    page = open_page(context, served)
    start = outlines(8)[0]
    drag(page, start[1], start[1] + (4, 0))
    page.keyboard.press("z")
    wait_for_text(page, "#status", "^Undone$")
    page.keyboard.press(".")
    wait_for_text(page, "#status", "^$")


def test_keys_do_nothing_while_their_button_is_disabled(context, served):
    page = open_page(context, served)
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    for key in ("r", "a", "Delete", "p", "z", "Shift+Z"):
        page.keyboard.press(key)
    page.keyboard.press(".")
    assert page.inner_text("#frame-number") == "2 / 8"
    assert [url for url in requests if "update-others" in url] == []
    assert not (served.corrections.folder / "audit.jsonl").exists()


def test_space_plays_after_the_slider_was_used_and_the_speed_can_be_chosen(context, served):
    page = open_page(context, served)
    box = page.locator("#frame-slider").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("#speed").select_option("0.25")
    page.keyboard.press(" ")
    wait_for_text(page, "#play", "Pause")
    page.keyboard.press(" ")
    wait_for_text(page, "#play", "Play")
    page.locator("#frame-slider").focus()
    page.keyboard.press(" ")
    wait_for_text(page, "#play", "Pause")
    page.keyboard.press("Enter")  # an edit ends the playback
    wait_for_text(page, "#play", "Play")
    frames = page.evaluate(
        """async () => {
            const { Playback } = await import("./static/playback.js");
            const shown = [];
            const clip = { fps: 20, frames: 1000 };
            const playback = new Playback({
                getClip: () => clip,
                getFrame: () => shown.at(-1) ?? 0,
                showFrame: (frame) => shown.push(frame),
                onToggle: () => {},
            });
            playback.setSpeed(0.5);
            const start = performance.now();
            playback.play();
            while (shown.length < 3) await new Promise(requestAnimationFrame);
            playback.pause();
            return [shown.at(-1), (performance.now() - start) / 1000];
        }"""
    )
    assert frames[0] <= frames[1] * 20 * 0.5, "half the frames of the time that has passed"


@pytest.mark.slow
def test_the_page_draws_and_measures_as_echoseg_does(context, served):
    page = open_page(context, served)
    random = np.random.default_rng(0)
    cases = []
    for outline, count, tangled in itertools.product(OUTLINES, (3, 4, 5, 9, 16), (False, True)):
        angle = np.sort(random.uniform(0, 2 * np.pi, count))
        if tangled:
            random.shuffle(angle)
        radius = random.uniform(6, 18, count)
        points = np.stack([24 + radius * np.cos(angle), 20 + radius * np.sin(angle)], axis=1).astype(np.float32)
        cases += [{"points": points.tolist(), "outline": outline, "straight": s} for s in (None, 1, count - 1)]
    answers = page.evaluate(
        """async (cases) => {
            const { join } = await import("./static/spline.js");
            const { fill, longAxis, discVolume } = await import("./static/measure.js");
            return cases.map(({ points, ...how }) => {
                const outline = join(points, how);
                const axis = longAxis(outline, [0.5, 0.75]);
                const mask = new Uint8Array(40 * 48);
                const area = fill(outline, 48, 40, mask);
                return { outline: [...outline], area, mask: [...mask], volume: discVolume(outline, axis, [0.5, 0.75]) };
            });
        }""",
        cases,
    )
    for case, answer in zip(cases, answers, strict=True):
        expected = join_points(np.array(case["points"]), straight=case["straight"], outline=case["outline"])
        drawn = np.array(answer["outline"]).reshape(-1, 2)
        np.testing.assert_allclose(drawn, expected, atol=2e-4)
        mask = fill_polygons(drawn[None].astype(np.float32), SIZE)[0]
        assert np.abs(mask - np.array(answer["mask"]).reshape(SIZE)).sum() <= 1
        assert answer["area"] == sum(answer["mask"])
        scale = np.array([0.5, 0.75])
        volume = disc_volumes(drawn[None] * scale, long_axis(drawn[None] * scale))[0]
        assert answer["volume"] == pytest.approx(volume, rel=1e-6)


@pytest.mark.parametrize("spacing", [(float("nan"), float("nan")), (0.5, 0.75)])
@pytest.mark.parametrize("thickness", [float("nan"), 8.0])
def test_volumes_of_frames_and_slices(context, served, spacing, thickness):
    clip = Clip(np.zeros((1, *SIZE), np.uint8), 50.0, spacing, thickness)
    handles = Handles(outlines(1)[0], np.arange(5), np.zeros(5, bool))
    known = bool(np.isfinite(spacing).all())
    facts = {
        "known": known,
        "scale": spacing[::-1] if known else (1, 1),
        "thickness": thickness if thickness > 0 else None,
    }
    volume = open_page(context, served).evaluate(
        """async ([points, clip]) => {
            const { outlineOf, volumeOf } = await import("./static/handles.js");
            const { fill } = await import("./static/measure.js");
            const run = { outline: "cubic", straight: 2 };
            const handles = { points, landmarks: [0, 1, 2, 3, 4] };
            const outline = outlineOf(handles, run);
            return volumeOf(handles, outline, fill(outline, 48, 40, new Uint8Array(40 * 48)), run, clip);
        }""",
        [handles.points.tolist(), facts],
    )
    prediction = of_landmarks(handles.points[None], CODEC, SIZE)
    assert volume == pytest.approx(measure(prediction, clip).volumes[0], rel=1e-5)
    if thickness > 0:
        cube = 0.5 * 0.75 * 8 / 1000 if known else 1
        assert volume == pytest.approx(int(fill_polygons(DRAWING.join(handles)[None], SIZE).sum()) * cube)
