"""The review page in a real browser: what a person does, by mouse, finger and keyboard, and what is kept of it."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

sync_api = pytest.importorskip("playwright.sync_api")
pytest.importorskip("fastapi")
# ruff: noqa: E402

from _predictions import of_landmarks
from _reviewing import CODEC, outlines, reviewed
from echoseg.geometry.discs import disc_volumes, long_axis
from echoseg.geometry.spline import OUTLINES, join_points
from echoseg.inference.measure import measure
from echoseg.io.clip import Clip
from echoseg.ops import fill_polygons
from echoseg.review import server
from echoseg.review.handles import Handles, drawing_of

DRAWING = drawing_of(CODEC)
SIZE = (40, 48)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def served(tmp_path, request):
    with reviewed(tmp_path, getattr(request, "param", "landmark")) as found:
        yield found


@pytest.fixture
def context(browser, served):  # ends before the server does
    with closing_quietly(browser.new_context(viewport={"width": 1280, "height": 860})) as context:
        yield context


class closing_quietly:  # noqa: N801
    """A browser's context whose pages must not complain."""

    def __init__(self, context):
        self.context, self.complaints = context, []
        context.on("console", lambda message: message.type == "error" and self.complaints.append(message.text))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def __enter__(self):
        return self.context

    def __exit__(self, kind, *_):
        self.context.close()
        expected = [text for text in self.complaints if "409" not in text]
        assert kind is not None or not expected, expected


def enter(context, served):
    page = context.new_page()
    page.goto(served.links[-1])
    return ready(page)


def ready(page):
    page.wait_for_selector("body[data-ready]")
    return page


def focused(page) -> str:
    return page.evaluate("() => document.activeElement.getAttribute('aria-label') ?? ''")


def dots(page):
    return page.locator(".points g")


def places(page) -> np.ndarray:
    """(K, 2) of the points shown, pixels of the frame."""
    texts = dots(page).evaluate_all("all => all.map(each => each.getAttribute('transform'))")
    return np.array([re.findall(r"[-\d.]+", text) for text in texts], dtype=float)


def on_screen(page, place):
    """CSS pixels of a place in the frame."""
    box = page.locator("#stage svg").bounding_box()
    scale = box["width"] / SIZE[1]
    return float(box["x"] + (place[0] + 0.5) * scale), float(box["y"] + (place[1] + 0.5) * scale)


def drag(page, start, end, steps=5):
    page.mouse.move(*on_screen(page, start))
    page.mouse.down()
    page.mouse.move(*on_screen(page, end), steps=steps)
    page.mouse.up()


def area(page) -> int:
    return int(page.inner_text("#area").split()[0])


def until(page, selector, pattern):
    """Wait for a text; the page's policy forbids to wait for an expression."""
    sync_api.expect(page.locator(selector)).to_have_text(re.compile(pattern))


def saved(page, frame=1):
    """Wait for the server's word on a frame; returns the area that it counted."""
    until(page, "#status", f"Saved ✓ frame {frame}:")
    return int(re.search(r"(\d+) px", page.inner_text("#status"))[1])


def painted(page) -> int:
    """Pixels that something lies over."""
    read = "canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
    return sum(alpha > 0 for alpha in page.locator("canvas.veil").evaluate(read)[3::4])


def true_area(points) -> int:
    count = len(points)
    handles = Handles(np.asarray(points, np.float32), np.arange(count), np.zeros(count, bool))
    return int(fill_polygons(DRAWING.join(handles)[None], SIZE).sum())


def test_drag_undo_redo_save_reload(context, served):
    page = enter(context, served)
    start = outlines(8)[0]
    np.testing.assert_allclose(places(page), start, atol=1e-3)
    before = area(page)
    assert before == true_area(start)
    fraction = page.inner_text("#ef")

    page.mouse.move(*on_screen(page, start[1]))
    page.mouse.down()
    page.mouse.move(*on_screen(page, start[1] + (10, 0)), steps=5)
    moved = start + (np.arange(5) == 1)[:, None] * np.array([10.0, 0.0])
    np.testing.assert_allclose(places(page), moved, atol=0.05)
    expected = true_area(places(page))
    assert area(page) == expected > before + 50, "it follows while the button is down"
    page.mouse.up()
    assert saved(page) == expected, "and the server has counted the same"
    assert page.inner_text("#ef") != fraction, "frame 1 is the end of diastole"
    assert painted(page) == expected

    page.keyboard.press("z")
    assert (area(page), page.inner_text("#ef")) == (before, fraction)
    np.testing.assert_allclose(places(page), start, atol=1e-3)
    until(page, "#status", f"{before} px")
    page.keyboard.press("Shift+Z")
    assert area(page) == expected
    until(page, "#status", f"{expected} px")
    until(page, "#clip option >> nth=0", "1 corrected")

    page.reload()
    ready(page)
    assert area(page) == expected
    np.testing.assert_allclose(places(page), moved, atol=0.05)
    table = (served.corrections.folder / "VolumeTracings.csv").read_text().splitlines()
    assert (table[0], len(table)) == ("FileName,X1,Y1,X2,Y2,Frame", 22)
    kept = served.corrections.of("a.avi")[0][0]
    np.testing.assert_allclose(kept.points, moved, atol=0.05)
    np.testing.assert_array_equal(kept.pinned, np.arange(5) == 1)
    audit = [json.loads(line) for line in (served.corrections.folder / "audit.jsonl").read_text().splitlines()]
    assert [line["drags"] for line in audit] == [1, 0, 0]


def test_keyboard_alone(context, served):
    page = enter(context, served)
    start = outlines(8)[0]
    for _ in range(40):
        page.keyboard.press("Tab")
        label = focused(page)
        if label.startswith("apex"):
            break
    assert label == "apex, x 24.00, y 6.00"
    page.keyboard.press("Tab")
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    moved = start[1] + (0.25 + 0.25 - 1, -0.25)
    np.testing.assert_allclose(places(page)[1], moved, atol=1e-3)
    assert focused(page).startswith("wall 1, moved, x ")
    for _ in range(4):
        page.keyboard.press("z")
    np.testing.assert_allclose(places(page), start, atol=1e-3)
    page.keyboard.press("Control+y")
    np.testing.assert_allclose(places(page)[1], start[1] + (0.25, 0), atol=1e-3)
    page.keyboard.press("p")
    assert saved(page) == true_area(start)

    page.keyboard.press("a")
    assert dots(page).count() == 6
    assert focused(page).startswith("added point")
    page.keyboard.press("Delete")
    assert dots(page).count() == 5
    page.keyboard.press("Shift+Tab")  # the apex stays
    page.keyboard.press("Delete")
    assert dots(page).count() == 5

    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("c")
    assert page.inner_text("#where") == "2 / 8"
    assert saved(page, 2)
    np.testing.assert_allclose(served.corrections.of("a.avi")[1][0].points, places(page), atol=1e-3)
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#where") == "3 / 8"
    page.keyboard.press("n")
    assert page.inner_text("#where") == "8 / 8", "the widest interval"
    page.keyboard.press("]")
    page.wait_for_selector("body[data-ready='1']")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()


def test_a_drag_that_is_left_changes_nothing(context, served):
    page = enter(context, served)
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
    assert ready(page).inner_text("#where") == "8 / 8"


def test_touch(browser, served):
    phone = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    with closing_quietly(phone) as context:
        page = enter(context, served)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        fingers = context.new_cdp_session(page)
        start = outlines(8)[0]

        def touch(kind, place=None):
            points = [] if place is None else [dict(zip("xy", on_screen(page, place), strict=True))]
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        touch("touchStart", start[1] + (0.5, 0.5))  # a finger is never exact
        for share in (0.3, 0.6, 1.0):
            touch("touchMove", start[1] + (0.5 + 5 * share, 0.5))
        touch("touchEnd")
        assert saved(page) == true_area(places(page))
        np.testing.assert_allclose(places(page)[1], start[1] + (5, 0), atol=0.1)
        assert page.evaluate("scrollY") == 0, "the page stays where it is"


def test_two_tabs(context, served):
    first = enter(context, served)
    second = context.new_page()
    second.goto(f"http://127.0.0.1:{served.port}/")
    ready(second)
    start = outlines(8)[0]
    drag(first, start[1], start[1] + (4, 0))
    mine = saved(first)

    second.bring_to_front()
    drag(second, start[4], start[4] - (4, 0))
    second.wait_for_selector("#alert:visible")
    assert "changed in another tab" in second.inner_text("#alert")
    np.testing.assert_allclose(served.corrections.of("a.avi")[0][0].points, places(first), atol=1e-3)
    second.get_by_text("Take the other").click()
    assert area(second) == mine

    drag(second, start[4], start[4] - (4, 0))
    both = saved(second)
    first.bring_to_front()
    drag(first, start[3], start[3] + (0, 3))
    first.wait_for_selector("#alert:visible")
    first.get_by_text("Keep mine").click()
    assert saved(first) not in (mine, both)
    np.testing.assert_allclose(served.corrections.of("a.avi")[0][0].points, places(first), atol=1e-3)


def test_a_server_that_is_gone_is_told(browser, tmp_path):
    context = browser.new_context()
    with reviewed(tmp_path) as served:
        page = enter(context, served)
    start = outlines(8)[0]
    drag(page, start[1], start[1] + (4, 0))
    page.wait_for_selector("#alert:visible")
    assert "is not saved" in page.inner_text("#alert")
    assert area(page) == true_area(places(page)), "what was done is still there"
    context.close()


def test_the_rest_anew(context, served):
    page = enter(context, served)
    start = outlines(8)[0]
    assert page.locator("#hold").is_disabled()
    drag(page, start[1], start[1] + (4, 0))
    page.keyboard.press("r")
    sync_api.expect(dots(page).nth(0)).not_to_have_attribute("transform", "translate(24 6)")
    np.testing.assert_allclose(places(page)[1], start[1] + (4, 0), atol=0.05)
    np.testing.assert_allclose(places(page)[[0, 2, 3, 4]] - start[[0, 2, 3, 4]], [[1.5, 1.5]] * 4, atol=0.05)
    page.keyboard.press("z")
    np.testing.assert_allclose(places(page)[0], start[0], atol=1e-3)


def test_layers_and_threshold(context, served):
    page = enter(context, served)
    page.keyboard.press(".")
    page.keyboard.press(".")
    layers = {name: page.locator(f"path[data-layer={name}]") for name in ("truth", "prediction", "correction")}
    assert [bool(layer.get_attribute("d")) for layer in layers.values()] == [True, True, False]
    page.keyboard.press("1")
    page.keyboard.press("2")
    assert not any(layer.get_attribute("d") for layer in layers.values())

    found = served.clips.open(0)
    page.keyboard.press("7")
    page.locator("#cut-at").fill("100")
    inside = int((found.probabilities[2] >= 100).sum())
    until(page, "#cut-says", f" {inside} px, Dice 1.000")
    page.locator("#cut-of").select_option("dark")
    dark = int((found.clip.frames[2] < 100).sum())
    until(page, "#cut-says", f"^100: {dark} px")
    page.keyboard.press("6")
    assert painted(page) > inside, "the heatmap covers all of the picture"


def test_curve_play_and_copy_of_what_is_uncertain(context, served):
    page = enter(context, served)
    box = page.locator("#curve svg").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 5 / 7, box["y"] + box["height"] / 2)
    assert page.inner_text("#where") == "6 / 8"
    page.locator("#next-list button").first.click()
    assert page.inner_text("#where") == "8 / 8"
    page.locator("#scrub").fill("2")
    assert page.inner_text("#where") == "3 / 8"
    assert page.url.endswith("#clip=0&frame=2")
    page.locator("#play").click()
    sync_api.expect(page.locator("#where")).not_to_have_text("3 / 8")
    page.locator("#play").click()
    shown = page.inner_text("#where")
    page.reload()
    assert ready(page).inner_text("#where") == shown


@pytest.mark.parametrize("served", ["mask"], indirect=True)
def test_masks_have_points_too(context, served):
    page = enter(context, served)
    assert dots(page).count() == 16
    assert area(page) == served.clips.open(0).facts["areas"][0]
    start = places(page)
    drag(page, start[4], start[4] + (5, 0))
    assert saved(page) == area(page) > served.clips.open(0).facts["areas"][0]
    page.mouse.dblclick(*on_screen(page, (start[8] + start[9]) / 2))
    assert dots(page).count() == 17
    page.keyboard.press("Delete")
    page.keyboard.press("Delete")
    assert dots(page).count() == 15
    saved(page)
    assert len((served.corrections.folder / "Landmarks.csv").read_text().splitlines()) == 16


def test_the_page_draws_and_measures_as_echoseg_does(context, served):
    page = enter(context, served)
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
                const axis = longAxis(outline);
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
        volume = disc_volumes(drawn[None] * scale, long_axis(drawn[None]) * scale)[0]
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
    volume = enter(context, served).evaluate(
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


def test_colour_blind_people_tell_the_outlines_apart():
    """At least 35 in CIELAB, where 10 is seen at a glance, as Machado et al. (2009) simulate severe deficiency."""
    skimage = pytest.importorskip("skimage.color")
    style = (Path(server.__file__).parent / "static" / "style.css").read_text()
    colours = [re.search(rf"--{name}: #(\w{{6}})", style)[1] for name in ("truth", "prediction", "correction")]
    srgb = np.array([[int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)] for colour in colours])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    for seen in (
        np.eye(3),
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ):
        light = (linear @ np.transpose(seen)).clip(0, 1)
        shown = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
        lab = skimage.rgb2lab(shown[None])[0]
        assert all(np.linalg.norm(a - b) > 35 for a, b in itertools.combinations(lab, 2))
