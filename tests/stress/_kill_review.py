"""Runs a review server, with a client that saves corrections and records those that the server confirmed."""

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
from echoseg.datasets.tracings import TRACINGS, read_tracings
from echoseg.errors import DataError
from echoseg.review.clips import Clips
from echoseg.review.corrections_folder import CorrectionsFolder
from echoseg.review.learning import Learning
from echoseg.review.server import make_app, serve
from echoseg.review.sources import find_review_clips
from echoseg.review.tables import LANDMARKS
from stress._killing import Workload

CLIPS, FRAMES, SAVES = 3, 8, 20
Points = list[list[float]] | None  # None if a correction was removed


class Review(Workload):
    name = "review"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.sources, _ = find_review_clips([write_folder(folder / "data")], None)
        self.corrections = self.work / "corrections"
        self.random = random.Random(0)
        self._reset()

    def _reset(self) -> None:
        self.confirmed: dict[tuple[int, int], Points] = {}
        self.pending: tuple[tuple[int, int], Points] | None = None  # sent, but not confirmed

    def start(self, kill_at: int = 0) -> int:
        self.link_reader, self.link_writer = os.pipe()
        pid = super().start(kill_at)
        os.close(self.link_writer)
        self.problems: list[str] = []
        self.client = threading.Thread(target=self._use, args=(pid,))
        self.client.start()
        return pid

    def run(self) -> None:
        clips = Clips(FakePredictor("landmark"), self.sources)
        corrections = CorrectionsFolder(self.corrections, clips.drawing, kind="chords", files=clips.files)
        with contextlib.suppress(KeyboardInterrupt):
            link = lambda text: os.write(self.link_writer, text.encode() + b"\n")  # noqa: E731
            learning = Learning(clips, corrections, run=None, device="cpu")
            serve(make_app(clips, corrections, learning), host="127.0.0.1", port=0, announce=link)

    def _use(self, pid: int) -> None:
        """Check that all confirmed corrections are there, save some more, and end the server."""
        with contextlib.suppress(OSError, http.client.HTTPException), os.fdopen(self.link_reader) as reader:
            link = reader.readline().strip()
            if not link:  # killed before the server started
                return
            self.port = int(link.split(":")[2].split("/")[0])
            self.cookie = request(self.port, "GET", link.split(str(self.port))[1])[1]["set-cookie"].split(";")[0]
            versions = self._compare()
            for _ in range(SAVES):
                self._save(versions)
            os.kill(pid, signal.SIGINT)

    def _compare(self) -> dict[tuple[int, int], int]:
        versions = {}
        for clip in range(CLIPS):
            states = self._request("GET", f"/api/clips/{clip}")[1]["states"]
            for frame in range(FRAMES):
                key, state = (clip, frame), states.get(str(frame), {"version": 0, "points": None})
                versions[key] = state["version"]
                allowed = [self.confirmed.get(key)]
                if self.pending and self.pending[0] == key:
                    allowed.append(self.pending[1])
                points = [
                    [round(x, 3) for x in point] for point in (state["points"] or {"points": ()})["points"]
                ]  # float32
                points = points or None
                if points not in allowed:
                    self.problems.append(f"clip {clip}, frame {frame}: {points} differs from the confirmed points")
                self.confirmed[key] = points
        self.pending = None
        return versions

    def _save(self, versions: dict[tuple[int, int], int]) -> None:
        key = self.random.randrange(CLIPS), self.random.randrange(FRAMES)
        shift = self.random.randrange(-20, 20) / 8
        moved = [[round(float(x) + shift, 3), round(float(y), 3)] for x, y in outlines(FRAMES)[key[1]]]
        points = None if self.confirmed.get(key) and self.random.random() < 0.2 else moved
        sent = points and {"points": points, "landmarks": list(range(5)), "pinned": [True] * 5}
        body = {"version": versions[key], "points": sent, "seconds": 1.0, "drags": 1}
        self.pending = key, points
        status, response = self._request("POST", f"/api/clips/{key[0]}/frames/{key[1]}", body)
        if status != 200:
            self.problems.append(f"refused: {status} {response}")
            return
        versions[key], self.confirmed[key], self.pending = response["version"], points, None

    def _request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"Cookie": self.cookie, "Origin": f"http://127.0.0.1:{self.port}", "Content-Type": "application/json"}
        status, _, response = request(self.port, method, path, body=body and json.dumps(body).encode(), **headers)
        return status, json.loads(response)

    def check_killed(self) -> list[str]:
        self.client.join()
        found = self.problems
        try:
            for name in (LANDMARKS, TRACINGS):
                verify_checksums(self.corrections / name)
            table = self.corrections / TRACINGS
            if table.exists() and table.read_text().count("\n") > 1:
                found += [str(fault) for _, (traced) in read_tracings(table)[1].items() for fault in traced.faults]
        except (DataError, OSError) as error:
            found.append(str(error))
        return found

    def check_finished(self) -> list[str]:
        found = self.check_killed()
        found += [f"temporary file: {path.name}" for path in self.corrections.glob("*.part")]
        shutil.rmtree(self.corrections)
        self._reset()
        return found
