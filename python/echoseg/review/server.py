"""The server of the review page: it sends frames and predictions, and receives corrections."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib import resources
from typing import Annotated, Any, Literal

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from echoseg.errors import DataError
from echoseg.inference.measure import Measurement
from echoseg.inference.propagation import changed_frames
from echoseg.ops import fill_polygons
from echoseg.review.clip_export import zip_clip
from echoseg.review.clip_states import chosen_beats, measure_reviewed, states_of, versioned_states
from echoseg.review.clips import Clips, LoadedClip, contours_json
from echoseg.review.corrections_folder import CorrectionsFolder, OutdatedError
from echoseg.review.handles import ADDED, Drawing, Handles, predicted_handles
from echoseg.review.learning import Learning
from echoseg.review.security import Guard
from echoseg.review.tables import FrameState

MAX_POINTS = 200
MAX_NOTE = 300  # characters
MAX_BEATS = 1000
MAX_FRAME_BYTES = 1 << 24  # in one response; the page requests the remaining frames with further ones
_MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_BINARY = "application/octet-stream"

Number = Annotated[float, Field(allow_inf_nan=False)]


class Points(BaseModel):
    """The points of a frame as the page sends them, in the order in which the contour joins them."""

    points: list[tuple[Number, Number]] = Field(min_length=3, max_length=MAX_POINTS)
    landmarks: list[int] = Field(min_length=3, max_length=MAX_POINTS)
    pinned: list[bool] = Field(min_length=3, max_length=MAX_POINTS)


class Effort(BaseModel):
    """What every change carries: the version of what was changed, and how much work it was."""

    version: int
    seconds: float = Field(ge=0, allow_inf_nan=False)
    drags: int = Field(ge=0)

    def logged(self) -> dict[str, Any]:
        """Seconds and drags, for the audit log."""
        return {"seconds": round(self.seconds, 3), "drags": self.drags}


class Change(Effort):
    """The state of a frame as the page sends it; `points` is None if the frame is not corrected."""

    points: Points | None
    verdict: Literal["accepted", "rejected"] | None = None
    note: str = Field(default="", max_length=MAX_NOTE)


class BeatsChange(Effort):
    """The frames of end-diastole and end-systole of each beat; None are those found in the prediction."""

    beats: list[tuple[int, int]] | None = Field(max_length=MAX_BEATS)


class LearningChange(BaseModel):
    """Whether the network is to learn from the corrections, or to stop."""

    learn: bool


def make_app(clips: Clips, corrections: CorrectionsFolder, learning: Learning) -> FastAPI:
    """Make the application of the page.

    It accepts every request: put a `security.Guard` in front of it.

    Args:
        clips: The clips to review.
        corrections: Where corrections are read from and saved to.
        learning: What trains on the corrections.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(RequestValidationError)
    def refuse(*_: Any) -> Response:  # FastAPI's own response repeats the request, and JSON cannot hold its NaN
        return JSONResponse({"detail": "the request does not have the format that the page sends"}, status_code=422)

    _serve_page(app)
    _serve_clips(app, clips, corrections)
    _serve_changes(app, clips, corrections)
    _serve_learning(app, learning)
    return app


def _serve_page(app: FastAPI) -> None:
    files = {path.name: path.read_bytes() for path in (resources.files("echoseg.review") / "static").iterdir()}

    @app.get("/")
    def page() -> Response:
        return Response(files["index.html"], media_type="text/html")

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in files:
            raise HTTPException(404, "there is no such file")
        return Response(files[name], media_type=_MEDIA_TYPES[name.rsplit(".")[-1]])


def _serve_clips(app: FastAPI, clips: Clips, corrections: CorrectionsFolder) -> None:
    @app.get("/api/clips")
    def listed() -> dict[str, Any]:
        drawing = clips.drawing
        return {
            "run": {
                "outline": drawing.outline,
                "straight": drawing.straight,
                "required": drawing.kept,
                "count": drawing.count,
                "calibrated": clips.predictor.calibration is not None,
            },
            "reader": corrections.reader,
            "corrections": str(corrections.folder.absolute()),
            "clips": [_progress(clips, number, corrections) for number in range(len(clips.sources))],
        }

    @app.get("/api/clips/{number}")
    def facts(number: int) -> dict[str, Any]:
        found = _open(clips, corrections, number)
        measured = _measured(clips, found, corrections)
        current = {
            frame: {**_state_json(state, version), **_frame_json(clips, found, frame, state.handles, measured)}
            for frame, (state, version) in versioned_states(found, corrections).items()
        }
        return {**found.facts, "states": current, "chosen_beats": _beats_json(found, corrections)}

    @app.get("/api/clips/{number}/carried")
    def carried(number: int) -> dict[str, Any] | None:
        found = _open(clips, corrections, number)
        states = states_of(found, corrections)
        if found.facts["thickness"] or all(state.handles is None for state in states.values()):
            return None
        prediction = clips.carried(found, states)
        handles = predicted_handles(prediction, clips.drawing)
        measured = clips.measure(found, prediction)
        is_changed = changed_frames(found.prediction, prediction)
        changed = [
            frame for frame in np.flatnonzero(is_changed).tolist() if not states.get(frame, FrameState()).is_reviewed
        ]
        return {**contours_json(prediction, handles, measured), "changed": changed}

    @app.get("/api/clips/{number}/export")
    def exported(number: int, carry: bool) -> Response:
        found = _open(clips, corrections, number)
        try:
            archive, note = zip_clip(clips, found, corrections, carry=carry)
        except DataError as error:
            raise HTTPException(507, str(error)) from None
        headers = {"content-disposition": "attachment", "x-note": json.dumps(note)}  # the page names the file
        return Response(archive, media_type="application/zip", headers=headers)

    @app.get("/api/clips/{number}/frames")
    def frames(number: int, start: int, stop: int) -> Response:
        found = _open(clips, corrections, number, start).clip.frames
        limit = start + max(1, MAX_FRAME_BYTES // found[0].size)
        return Response(found[start : min(stop, limit)].tobytes(), media_type=_BINARY)

    @app.get("/api/clips/{number}/frames/{frame}/probabilities")
    def probabilities(number: int, frame: int) -> Response:
        return Response(_open(clips, corrections, number, frame).probabilities[frame].tobytes(), media_type=_BINARY)


def _serve_changes(app: FastAPI, clips: Clips, corrections: CorrectionsFolder) -> None:
    @app.post("/api/clips/{number}/frames/{frame}")
    def save(number: int, frame: int, change: Change) -> Any:
        found = _open(clips, corrections, number, frame)
        file = found.source.name
        handles = None if change.points is None else _checked(change.points, clips.drawing, found)
        if handles is not None and change.verdict == "rejected":
            raise HTTPException(422, "a rejected frame cannot be corrected too")
        accepted = found.accepted(frame) if handles is None and change.verdict == "accepted" else None
        state = FrameState(handles, change.verdict or "", change.note, accepted)
        before = states_of(found, corrections).get(frame, FrameState()).handles or found.handles[frame]
        with _saving():
            try:
                version = corrections.save(
                    file, frame, state, version=change.version, before=before.points, effort=change.logged()
                )
            except OutdatedError:
                other = versioned_states(found, corrections).get(frame, (FrameState(), 0))
                return JSONResponse(_state_json(*other), status_code=409)
        measured = _measured(clips, found, corrections)
        return {"version": version, **_frame_json(clips, found, frame, handles, measured)}

    @app.post("/api/clips/{number}/beats")
    def save_beats(number: int, change: BeatsChange) -> Any:
        found = _open(clips, corrections, number)
        for beat in change.beats or ():
            if beat[0] == beat[1] or not all(0 <= frame < len(found.clip.frames) for frame in beat):
                raise HTTPException(422, "ED and ES of a beat must be two frames of the clip")
        beats = None if change.beats is None else tuple(change.beats)
        if beats is not None and len(set(beats)) < len(beats):
            raise HTTPException(422, "a beat is listed twice")
        with _saving():
            try:
                version = corrections.save_beats(
                    found.source.name, beats, version=change.version, effort=change.logged()
                )
            except OutdatedError:
                return JSONResponse(_beats_json(found, corrections), status_code=409)
        return {"version": version}

    @app.post("/api/clips/{number}/frames/{frame}/update-others")
    def update_others(number: int, frame: int, points: Points) -> dict[str, Any]:
        found = _open(clips, corrections, number, frame)
        try:
            handles = clips.update_others(found, frame, _checked(points, clips.drawing, found))
        except DataError as error:
            raise HTTPException(422, str(error)) from None
        return {"points": handles.points.round(4).tolist()}


def _serve_learning(app: FastAPI, learning: Learning) -> None:
    @app.get("/api/learning")
    def state() -> dict[str, Any]:
        return asdict(learning.state)

    @app.post("/api/learning")
    def change(wanted: LearningChange) -> dict[str, Any]:
        if wanted.learn:
            try:
                learning.start()
            except DataError as error:
                raise HTTPException(422, str(error)) from None
            except OSError as error:
                raise HTTPException(507, f"the frames were not written: {error.strerror}") from None
        else:
            learning.stop()
        return asdict(learning.state)


def serve(app: FastAPI, *, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve the page until interrupted.

    Args:
        app: The application that `make_app` made.
        host: The address to listen on. Requests must name it as their host; for a loopback address, any name of
            loopback is accepted.
        port: The port to listen on; 0 chooses a free one.
        announce: Called with the link that opens the page, and with a new link each time one was used.
    """
    with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listening:
        guard = Guard(app, host=host, port=listening.getsockname()[1], announce=announce)
        announce(guard.link)
        uvicorn.Server(server_config(guard)).run(sockets=[listening])


def server_config(app: Any) -> uvicorn.Config:
    """Settings of uvicorn: HTTP only, and no log output except errors."""
    return uvicorn.Config(app, log_level="error", access_log=False, server_header=False, ws="none", lifespan="off")


def _open(clips: Clips, corrections: CorrectionsFolder, number: int, frame: int = 0) -> LoadedClip:
    try:
        found = clips.open(number)
        corrections.check_content(found.source.name, found.content)
    except KeyError:
        raise HTTPException(404, f"there is no clip {number}") from None
    except DataError as error:
        raise HTTPException(422, str(error)) from None
    if not 0 <= frame < len(found.clip.frames):
        raise HTTPException(404, f"there is no frame {frame}")
    return found


def _checked(sent: Points, drawing: Drawing, found: LoadedClip) -> Handles:
    if not len(sent.points) == len(sent.landmarks) == len(sent.pinned):
        raise HTTPException(422, "points, landmarks and pinned must have the same length")
    handles = Handles(np.array(sent.points, np.float32), np.array(sent.landmarks), np.array(sent.pinned))
    height, width = found.clip.frames.shape[1:]
    far = np.abs(handles.points - (width / 2, height / 2)) > (1.5 * width, 1.5 * height)
    if far.any() or not (handles.landmarks >= ADDED).all() or not drawing.fits(handles):
        reason = "these points lie far outside the frame, enclose no area, or are not the landmarks of this run"
        raise HTTPException(422, reason)
    return handles


@contextlib.contextmanager
def _saving() -> Iterator[None]:
    """Answer with the reason if a change cannot be written."""
    try:
        yield
    except OSError as error:
        raise HTTPException(507, f"the change was not saved: {error.strerror}") from None


def _progress(clips: Clips, number: int, corrections: CorrectionsFolder) -> dict[str, Any]:
    """How far the review of a clip is; the frames to review are unknown until the clip is opened."""
    name, queue = clips.sources[number].name, clips.queue(number)
    states = {frame: state for frame, (state, _) in corrections.states(name).items()}
    return {
        "name": name,
        "to_review": None if queue is None else len(queue),
        "reviewed": sum(frame in states and states[frame].is_reviewed for frame in queue or ()),
        "corrected": sum(state.handles is not None for state in states.values()),
    }


def _state_json(state: FrameState, version: int) -> dict[str, Any]:
    handles = state.handles
    points = None
    if handles is not None:
        points = {
            "points": handles.points.round(4).tolist(),
            "landmarks": handles.landmarks.tolist(),
            "pinned": handles.pinned.tolist(),
        }
    return {"version": version, "points": points, "verdict": state.verdict or None, "note": state.note}


def _beats_json(found: LoadedClip, corrections: CorrectionsFolder) -> dict[str, Any]:
    beats, version = chosen_beats(found, corrections)
    return {"version": version, "beats": beats}


def _measured(clips: Clips, found: LoadedClip, corrections: CorrectionsFolder) -> Measurement:
    return measure_reviewed(clips, found, clips.corrected(found, states_of(found, corrections)), corrections)


def _frame_json(
    clips: Clips, found: LoadedClip, frame: int, handles: Handles | None, measured: Measurement
) -> dict[str, Any]:
    """Area and volume of a frame; handles are None where it is not corrected."""
    area = found.prediction.areas[frame]
    if handles is not None:
        area = fill_polygons(clips.drawing.join(handles)[None], found.prediction.size).sum()
    return {"area": int(area), "volume": float(measured.volumes[frame])}
