"""A running review page whose predictor returns a fixed answer: small, fast and deterministic."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import uvicorn

from _folders import write_folder
from _predictions import of_landmarks, of_probabilities
from echoseg.datasets.file_contents import hash_content
from echoseg.inference.predictor import Prediction, load
from echoseg.io.clip import Clip
from echoseg.metrics.calibration import Calibration
from echoseg.models.codec import LandmarkCodec, MaskCodec
from echoseg.review.clips import Clips
from echoseg.review.corrections_folder import CorrectionsFolder
from echoseg.review.handles import Handles, drawing_of
from echoseg.review.learning import Learning
from echoseg.review.security import Guard
from echoseg.review.server import make_app, server_config
from echoseg.review.sources import find_review_clips

CODEC = LandmarkCodec(5, "anatomical", "cubic", "gaussian", 2.5, 10.0, 3, 0, "argmax")
EFFORT = {"seconds": 1.0, "drags": 1}
ERROR_CORRELATION = np.eye(10) * 0.4 + 0.6


def outlines(count: int) -> np.ndarray:
    """(T, 5, 2) float32, pixels: apex, wall, both ends of the annulus, wall, of a ventricle that beats."""
    shape = np.array([[0, -14], [8, 2], [6, 13], [-6, 13], [-8, 2]], dtype=np.float32)
    size = 0.8 + 0.2 * np.cos(np.arange(count))[:, None, None]
    return (shape * size + (24, 20)).astype(np.float32)


class FakePredictor:
    """Predicts `outlines` for every clip."""

    def __init__(self, approach: str) -> None:
        self.config = SimpleNamespace(approach=approach, structure="left ventricle")
        self.codec = CODEC if approach == "landmark" else MaskCodec()
        self.calibration = Calibration(6.25, 1.0, 0.5, ERROR_CORRELATION) if approach == "landmark" else None

    def __call__(self, clip: Clip) -> Prediction:
        landmarks = outlines(len(clip.frames))
        prediction = of_landmarks(landmarks, CODEC, clip.frames.shape[1:])
        probabilities = 0.1 + 0.8 * prediction.masks.astype(np.float32)
        if self.calibration is None:
            return of_probabilities(probabilities)
        covariances = np.broadcast_to(np.eye(2), (*landmarks.shape[:2], 2, 2))
        deviations = prediction.areas * (0.05 + 0.01 * np.arange(len(clip.frames)))
        return replace(prediction, probabilities=probabilities, covariances=covariances, area_std=deviations)


class BlankAfterTwo(FakePredictor):
    """Predicts no mask from frame 2 on."""

    def __call__(self, clip: Clip) -> Prediction:
        probabilities = super().__call__(clip).probabilities.copy()
        probabilities[2:] = 0
        return of_probabilities(probabilities)


@contextlib.contextmanager
def review_server(folder: Path, approach: str = "landmark", reader: str = "") -> Iterator[SimpleNamespace]:
    """Run the server of a page; gives its port, links, corrections, clips and data."""
    data = folder / "data"
    if not data.exists():
        write_folder(data)
    sources, kind = find_review_clips([data], None)
    clips = Clips(FakePredictor(approach), sources)
    corrections = CorrectionsFolder(folder / "corrections", clips.drawing, kind=kind, reader=reader, files=clips.files)
    links: list[str] = []
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    learning = Learning(clips, corrections, run=None, device="cpu")
    guard = Guard(make_app(clips, corrections, learning), host="127.0.0.1", port=port, announce=links.append)
    links.append(guard.link)
    server = uvicorn.Server(server_config(guard))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server ended at once"
            time.sleep(0.005)
        yield SimpleNamespace(
            port=port, links=links, corrections=corrections, clips=clips, data=data, learning=learning
        )
    finally:
        learning.stop()
        server.should_exit = True
        thread.join()
        listening.close()
        corrections.close()


def request(port, method, path, *, body=None, **headers):
    """Send one request; gives the status, headers and body of its response. A header of None is left out."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    sent = {"Host": f"127.0.0.1:{port}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def handles_of(frame, shift):
    """The predicted handles of a frame, moved by some pixels, of which one is pinned."""
    return Handles(outlines(frame + 1)[frame] + np.float32(shift), np.arange(5), np.arange(5) == 1)


@contextlib.contextmanager
def reviewed(folder, inputs, states, approach="landmark", predictor=None):
    """The clips and the corrections of a review in which frames, by file and number, have got these states."""
    sources, kind = find_review_clips(inputs, None)
    clips = Clips(predictor or FakePredictor(approach), sources)
    kind = kind or ("chords" if approach == "landmark" else "points")
    opened = CorrectionsFolder(folder / "corrections", clips.drawing, kind=kind, files=clips.files)
    with contextlib.closing(opened) as corrections:
        for file, path in clips.files.items():
            corrections.check_content(file, hash_content(path))
        for (file, frame), state in states.items():
            corrections.save(file, frame, state, version=0, before=outlines(frame + 1)[frame], effort=EFFORT)
        yield clips, corrections


def drawing_of_weights():
    """The drawing of the landmark network that ships."""
    return drawing_of(load(device="cpu").codec)
