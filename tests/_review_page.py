"""What tests do with the review page in a browser, and what they read of it."""

from __future__ import annotations

import contextlib
import re
import shutil

import numpy as np
import pytest

from _reviewing import CODEC
from echoseg.ops import fill_polygons
from echoseg.review.handles import Handles, drawing_of
from echoseg.review.tables import FrameState

sync_api = pytest.importorskip("playwright.sync_api")

DRAWING = drawing_of(CODEC)
SIZE = (40, 48)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MARKS = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]
sync_api.expect.set_options(timeout=30_000)  # ms


@contextlib.contextmanager
def no_errors(context):
    """Close a browser context, and fail if one of its pages has logged an error."""
    errors = []
    context.on("console", lambda message: message.type == "error" and errors.append(message.text))
    context.on("weberror", lambda error: errors.append(f"{error.error} {error.error.stack}"))
    try:
        yield context
    finally:
        context.close()
    assert [text for text in errors if not re.search("status of (409|422|507)", text)] == []


def open_page(context, served):
    page = context.new_page()
    page.goto(served.links[-1])
    return wait_until_ready(page)


def wait_until_ready(page):
    page.wait_for_selector("body[data-ready]")
    return page


def focused_label(page) -> str:
    return page.evaluate("() => document.activeElement.getAttribute('aria-label') ?? ''")


def points(page):
    return page.locator(".points g")


def positions(page) -> np.ndarray:
    """(K, 2) float64, pixels of the frame: the points shown."""
    texts = points(page).evaluate_all("all => all.map(each => each.getAttribute('transform'))")
    return np.array([re.findall(r"[-\d.]+", text) for text in texts], dtype=float)


def on_screen(page, point):
    """The position on the screen, in CSS pixels, of a point in the frame."""
    box = page.locator("#image-view svg").bounding_box()
    scale = box["width"] / SIZE[1]
    return float(box["x"] + (point[0] + 0.5) * scale), float(box["y"] + (point[1] + 0.5) * scale)


def drag(page, start, end, steps=5):
    page.mouse.move(*on_screen(page, start))
    page.mouse.down()
    page.mouse.move(*on_screen(page, end), steps=steps)
    page.mouse.up()


def area(page) -> int:
    return int(page.inner_text("#area").split()[0])


def wait_for_text(page, selector, pattern):
    """Wait for a text: the page's content security policy forbids waiting for a JavaScript expression."""
    sync_api.expect(page.locator(selector)).to_have_text(re.compile(pattern))


def saved(page):
    """Wait until every change is saved; returns the area, as the server has measured it."""
    wait_for_text(page, "#save-state", "Saved")
    return area(page)


def painted(page) -> int:
    """The number of pixels that the overlay covers."""
    read = "canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
    return sum(alpha > 0 for alpha in page.locator("canvas.overlay").evaluate(read)[3::4])


def true_area(points) -> int:
    count = len(points)
    handles = Handles(np.asarray(points, np.float32), np.arange(count), np.zeros(count, bool))
    return int(fill_polygons(DRAWING.join(handles)[None], SIZE).sum())


def states_of(served, name="a.avi") -> dict[int, FrameState]:
    """The states that are saved, by frame, without those of which every change was undone."""
    return {frame: state for frame, (state, _) in served.corrections.states(name).items() if state != FrameState()}
