"""A review page under a browser that saves one correction after the other, and knows what was acknowledged."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

from _folders import write_folder
from _reviewing import FakePredictor, outlines, request
from echoseg.datasets.corrections import verify_checksums
from echoseg.datasets.echonet import TRACINGS, read_tracings
from echoseg.errors import DataError
from echoseg.review.clips import Clips, find_review_clips
from echoseg.review.corrections_folder import LANDMARKS, CorrectionsFolder
from echoseg.review.server import make_app, serve
from stress._killing import Victim

CLIPS, FRAMES, SAVES = 3, 8, 20
Points = list[list[float]] | None  # None where a correction was taken back


class Review(Victim):
    name = "review"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.sources, _ = find_review_clips([write_folder(folder / "data")], None)
        self.corrections = self.work / "corrections"
        self.random = random.Random(0)
        self._forget()

    def _forget(self) -> None:
        self.pinned: dict[tuple[int, int], Points] = {}  # acknowledged
        self.asked: tuple[tuple[int, int], Points] | None = None  # not yet

    def start(self, deadly: int = 0) -> int:
        self.said, self.links = os.pipe()
        child = super().start(deadly)
        os.close(self.links)
        self.found: list[str] = []
        self.browser = threading.Thread(target=self._browse, args=(child,))
        self.browser.start()
        return child

    def act(self) -> None:
        clips = Clips(FakePredictor("landmark"), self.sources)
        corrections = CorrectionsFolder(self.corrections, clips.drawing, kind="chords")
        with contextlib.suppress(KeyboardInterrupt):
            link = lambda text: os.write(self.links, text.encode() + b"\n")  # noqa: E731
            serve(make_app(clips, corrections), host="127.0.0.1", port=0, announce=link)

    def _browse(self, child: int) -> None:
        """See that all that was acknowledged is there, save so many corrections, and end the server."""
        with contextlib.suppress(OSError, http.client.HTTPException), os.fdopen(self.said) as said:
            link = said.readline().strip()
            if not link:  # killed before
                return
            self.port = int(link.split(":")[2].split("/")[0])
            self.cookie = request(self.port, "GET", link.split(str(self.port))[1])[1]["set-cookie"].split(";")[0]
            versions = self._compare()
            for _ in range(SAVES):
                self._save(versions)
            os.kill(child, signal.SIGINT)

    def _compare(self) -> dict[tuple[int, int], int]:
        versions = {}
        for clip in range(CLIPS):
            told = self._ask("GET", f"/api/clips/{clip}")[1]["corrections"]
            for frame in range(FRAMES):
                key, there = (clip, frame), told.get(str(frame), {"version": 0})
                versions[key] = there["version"]
                allowed = [self.pinned.get(key)]
                if self.asked and self.asked[0] == key:
                    allowed.append(self.asked[1])
                points = [[round(x, 3) for x in point] for point in there.get("points", ())] or None  # float32's 0.1
                if points not in allowed:
                    self.found.append(f"clip {clip}, frame {frame}: {points} is not what was acknowledged")
                self.pinned[key] = points
        self.asked = None
        return versions

    def _save(self, versions: dict[tuple[int, int], int]) -> None:
        key = self.random.randrange(CLIPS), self.random.randrange(FRAMES)
        shift = self.random.randrange(-20, 20) / 8
        moved = [[round(float(x) + shift, 3), round(float(y), 3)] for x, y in outlines(FRAMES)[key[1]]]
        points = None if self.pinned.get(key) and self.random.random() < 0.2 else moved
        sent = points and {"points": points, "landmarks": list(range(5)), "pinned": [True] * 5}
        body = {"version": versions[key], "points": sent, "seconds": 1.0, "drags": 1}
        self.asked = key, points
        status, answer = self._ask("POST", f"/api/clips/{key[0]}/frames/{key[1]}", body)
        if status != 200:
            self.found.append(f"refused: {status} {answer}")
            return
        versions[key], self.pinned[key], self.asked = answer["version"], points, None

    def _ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"Cookie": self.cookie, "Origin": f"http://127.0.0.1:{self.port}", "Content-Type": "application/json"}
        status, _, answer = request(self.port, method, path, body=body and json.dumps(body).encode(), **headers)
        return status, json.loads(answer)

    def faults(self) -> list[str]:
        self.browser.join()
        found = self.found
        try:
            for name in (LANDMARKS, TRACINGS):
                verify_checksums(self.corrections / name)
            table = self.corrections / TRACINGS
            if table.exists() and table.read_text().count("\n") > 1:
                found += [str(fault) for _, (traced) in read_tracings(table)[1].items() for fault in traced.faults]
        except (DataError, OSError) as error:
            found.append(str(error))
        return found

    def ended(self) -> list[str]:
        found = self.faults()
        found += [f"left behind: {path.name}" for path in self.corrections.glob("*.part")]
        shutil.rmtree(self.corrections)
        self._forget()
        return found
