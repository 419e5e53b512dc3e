"""The page's server: frames and predictions out, corrections in."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable
from importlib import resources
from typing import Annotated, Any

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from echoseg.errors import DataError
from echoseg.ops import fill_polygons
from echoseg.review.clips import Clips, LoadedClip
from echoseg.review.handles import ADDED, Drawing, Handles
from echoseg.review.security import Guard
from echoseg.review.stored import Corrections, OutdatedError

MAX_POINTS = 200
LARGEST_ANSWER = 1 << 24  # bytes of frames at once; the page asks again for the rest
_KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_BYTES = "application/octet-stream"

Number = Annotated[float, Field(allow_inf_nan=False)]


class Points(BaseModel):
    """What the page sends of a frame's points, in the order in which they are joined."""

    points: list[tuple[Number, Number]] = Field(min_length=3, max_length=MAX_POINTS)
    landmarks: list[int] = Field(min_length=3, max_length=MAX_POINTS)
    pinned: list[bool] = Field(min_length=3, max_length=MAX_POINTS)


class Change(BaseModel):
    """A frame's points as a person left them; none where they are the prediction's again."""

    version: int
    points: Points | None
    seconds: float = Field(ge=0, allow_inf_nan=False)
    drags: int = Field(ge=0)


def make_app(clips: Clips, corrections: Corrections) -> FastAPI:
    """The page's application, which lets everybody in; see ``security``."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(RequestValidationError)
    def refuse(*_: Any) -> Response:  # FastAPI's own answer repeats what was sent, which may be no JSON (NaN)
        return JSONResponse({"detail": "not what the page sends"}, status_code=422)

    _serve_page(app)
    _serve_clips(app, clips, corrections)
    _serve_changes(app, clips, corrections)
    return app


def _serve_page(app: FastAPI) -> None:
    files = {path.name: path.read_bytes() for path in (resources.files("echoseg.review") / "static").iterdir()}

    @app.get("/")
    def page() -> Response:
        return Response(files["index.html"], media_type="text/html")

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in files:
            raise HTTPException(404, "no such file")
        return Response(files[name], media_type=_KINDS[name.rsplit(".")[-1]])


def _serve_clips(app: FastAPI, clips: Clips, corrections: Corrections) -> None:
    @app.get("/api/clips")
    def listed() -> dict[str, Any]:
        drawing, counts = clips.drawing, corrections.counts()
        return {
            "run": {
                "outline": drawing.outline,
                "straight": drawing.straight,
                "kept": drawing.kept,
                "count": drawing.count,
                "calibrated": clips.predictor.calibration is not None,
            },
            "clips": [{"name": source.name, "corrected": counts[source.name]} for source in clips.sources],
        }

    @app.get("/api/clips/{number}")
    def facts(number: int) -> dict[str, Any]:
        found = _open(clips, number)
        changed = _corrected(found, corrections)
        versions = (corrections.version(found.source.name, frame) for frame in range(len(found.clip.frames)))
        taken_back = {frame: {"version": version} for frame, version in enumerate(versions) if version}
        told = {frame: _told(*change) for frame, change in changed.items()}
        return {**found.facts, "corrections": taken_back | told}

    @app.get("/api/clips/{number}/frames")
    def frames(number: int, start: int, stop: int) -> Response:
        found = _open(clips, number, start).clip.frames
        most = start + max(1, LARGEST_ANSWER // found[0].size)
        return Response(found[start : min(stop, most)].tobytes(), media_type=_BYTES)

    @app.get("/api/clips/{number}/frames/{frame}/probabilities")
    def probabilities(number: int, frame: int) -> Response:
        return Response(_open(clips, number, frame).probabilities[frame].tobytes(), media_type=_BYTES)


def _serve_changes(app: FastAPI, clips: Clips, corrections: Corrections) -> None:
    @app.post("/api/clips/{number}/frames/{frame}")
    def save(number: int, frame: int, change: Change) -> Any:
        found = _open(clips, number, frame)
        file = found.source.name
        handles = None if change.points is None else _checked(change.points, clips.drawing, found)
        pinned = corrections.of(file).get(frame)
        before = pinned[0] if pinned else found.handles[frame]
        effort = {"seconds": round(change.seconds, 3), "drags": change.drags}
        try:
            version = corrections.save(
                file, frame, handles, version=change.version, before=before.points, effort=effort
            )
        except OutdatedError:
            pinned = corrections.of(file).get(frame)
            theirs = _told(*pinned) if pinned else {"version": corrections.version(file, frame)}
            return JSONResponse(theirs, status_code=409)
        except OSError as error:
            raise HTTPException(507, f"not saved: {error.strerror}") from None
        return {"version": version, **_measured(clips, found, frame, handles, corrections)}

    @app.post("/api/clips/{number}/frames/{frame}/hold")
    def hold(number: int, frame: int, points: Points) -> dict[str, Any]:
        found = _open(clips, number, frame)
        try:
            handles = clips.hold(found, frame, _checked(points, clips.drawing, found))
        except DataError as error:
            raise HTTPException(422, str(error)) from None
        return {"points": handles.points.round(4).tolist()}


def serve(app: FastAPI, *, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until interrupted.

    Args:
        app: of ``make_app``.
        host: the one address to listen on, which is also the only name that is served, but for other names of loopback.
        port: 0 takes a free one.
        announce: is told each link.
    """
    with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listening:
        guard = Guard(app, host=host, port=listening.getsockname()[1], announce=announce)
        uvicorn.Server(quiet(guard)).run(sockets=[listening])


def quiet(app: Any) -> uvicorn.Config:
    """Settings of uvicorn: HTTP alone, and silence but for errors."""
    return uvicorn.Config(app, log_level="error", access_log=False, server_header=False, ws="none", lifespan="off")


def _open(clips: Clips, number: int, frame: int = 0) -> LoadedClip:
    try:
        found = clips.open(number)
    except KeyError:
        raise HTTPException(404, "no such clip") from None
    except DataError as error:
        raise HTTPException(422, str(error)) from None
    if not 0 <= frame < len(found.clip.frames):
        raise HTTPException(404, "no such frame")
    return found


def _checked(sent: Points, drawing: Drawing, found: LoadedClip) -> Handles:
    if not len(sent.points) == len(sent.landmarks) == len(sent.pinned):
        raise HTTPException(422, "points, landmarks and pinned differ in length")
    handles = Handles(np.array(sent.points, np.float32), np.array(sent.landmarks), np.array(sent.pinned))
    height, width = found.clip.frames.shape[1:]
    far = np.abs(handles.points - (width / 2, height / 2)) > (1.5 * width, 1.5 * height)
    if far.any() or not (handles.landmarks >= ADDED).all() or not drawing.fits(handles):
        raise HTTPException(422, "these points are not of this clip or run, or have no area")
    return handles


def _corrected(found: LoadedClip, corrections: Corrections) -> dict[int, tuple[Handles, int]]:
    """What was corrected of the frames that the clip has; a table may come from a longer file."""
    count = len(found.clip.frames)
    return {at: change for at, change in corrections.of(found.source.name).items() if at < count}


def _told(handles: Handles, version: int) -> dict[str, Any]:
    return {
        "version": version,
        "points": handles.points.round(4).tolist(),
        "landmarks": handles.landmarks.tolist(),
        "pinned": handles.pinned.tolist(),
    }


def _measured(
    clips: Clips, found: LoadedClip, frame: int, handles: Handles | None, corrections: Corrections
) -> dict[str, Any]:
    """What the page has measured by itself, confirmed."""
    shown = found.handles[frame] if handles is None else handles
    contour = clips.drawing.join(shown)[None]
    changed = {at: change[0] for at, change in _corrected(found, corrections).items()}
    measured = clips.measure(found, changed)
    return {
        "area": int(fill_polygons(contour, found.prediction.size).sum()),
        "volume": float(measured.volumes[frame]),
        "ef": None if math.isnan(measured.mean_ef) else measured.mean_ef,
    }
