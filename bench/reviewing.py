"""Latency of the review page while a landmark is dragged on a video of 1,000 frames.

    python bench/reviewing.py RUN            # a landmark or a mask run; half a minute, needs Playwright and Chromium

Two times are measured for each pointer event: the work of the page (spline, mask, area, volume, EF and drawing), and
the time until the end of the frame in which the change is painted, which includes waiting for the display (16.7 ms at
60 Hz). The floor is an empty page in the same browser that changes one attribute per event, measured in the same run.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Page, sync_playwright

from echoseg.io.reading import read_frames
from echoseg.phantom import write_phantom

FRAMES, MOVES = 1000, 600
WATCH = """() => {
    window.work = []; window.drawn = [];
    let begun = 0;
    document.addEventListener("pointermove", () => { begun = performance.now(); }, true);
    window.addEventListener("pointermove", (event) => {
        if (!event.buttons) return;
        work.push(performance.now() - begun);
        requestAnimationFrame(() => {
            const channel = new MessageChannel();
            channel.port1.onmessage = () => drawn.push(performance.now() - event.timeStamp);
            channel.port2.postMessage(0);
        });
    });
}"""
EMPTY = """<svg viewBox="0 0 100 100" style="width:600px"><circle r="3" cx="50" cy="50"/></svg>"""
FLOOR = """() => document.addEventListener("pointermove",
    (event) => document.querySelector("circle").setAttribute("cx", event.clientX / 6))"""


def long_video(folder: Path) -> Path:
    videos = sorted((write_phantom(folder / "phantom", videos=17) / "Videos").iterdir())
    frames = np.concatenate([read_frames(video) for video in videos])[:FRAMES]
    path = folder / "long.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 50, frames.shape[2:0:-1], isColor=False)
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


@contextlib.contextmanager
def served(run: Path, video: Path, corrections: Path) -> Iterator[str]:
    """Serve a review page and yield its URL."""
    command = [sys.executable, "-m", "echoseg", "review", run, video, "--no-browser", "--corrections", corrections]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = None
            while found is None:
                found = re.search(r"http://\S+", process.stdout.readline())
            yield found[0]
        finally:
            process.terminate()


def drag(page: Page, x: float, y: float) -> tuple[list[float], list[float]]:
    """Drag and return, for each pointer event, the milliseconds of work and until the change is painted."""
    page.evaluate(WATCH)
    page.mouse.move(x, y)
    page.mouse.down()
    for move in range(MOVES):
        page.mouse.move(x + 30 * np.sin(move / 10), y + 30 * np.cos(move / 7))
    page.mouse.up()
    page.wait_for_timeout(200)
    return page.evaluate("() => [work, drawn]")


def show(name: str, times: list[float]) -> None:
    median, late = np.percentile(times, [50, 99])
    print(f"{name:<44}{median:8.1f} {late:8.1f} {max(times):8.1f}   {len(times)} moves")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    run = parser.parse_args().run
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        video = long_video(Path(name))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.set_content(EMPTY)
        page.evaluate(FLOOR)
        floor = drag(page, 300, 300)
        with served(run, video, Path(name) / "corrections") as link:
            begun = time.perf_counter()
            page.goto(link)
            page.wait_for_selector("body[data-ready]", timeout=120_000)
            print(f"{FRAMES} frames read, predicted and shown after {time.perf_counter() - begun:.1f} s")
            page.wait_for_timeout(1000)
            box = page.locator(".points .dot").nth(2).bounding_box()
            assert box is not None
            dragged = drag(page, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            page.goto("about:blank")
        browser.close()
    print(f"{'ms':<44}{'median':>8} {'p99':>8} {'worst':>8}")
    for what, times, least in zip(("the page's work", "from move to drawn"), dragged, floor, strict=True):
        show(what, times)
        show(f"  floor: {what}, empty page", least)


if __name__ == "__main__":
    main()
