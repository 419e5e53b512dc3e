"""The server of the review page: it sends frames and predictions, and receives corrections."""

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
from echoseg.inference.measure import Measurement
from echoseg.ops import fill_polygons
from echoseg.review.clips import Clips, LoadedClip
from echoseg.review.corrections_folder import CorrectionsFolder, OutdatedError
from echoseg.review.handles import ADDED, Drawing, Handles
from echoseg.review.security import Guard

MAX_POINTS = 200
MAX_FRAME_BYTES = 1 << 24  # in one response; the page requests the remaining frames with further ones
_MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_BINARY = "application/octet-stream"

Number = Annotated[float, Field(allow_inf_nan=False)]


class Points(BaseModel):
    """The points of a frame as the page sends them, in the order in which the contour joins them."""

    points: list[tuple[Number, Number]] = Field(min_length=3, max_length=MAX_POINTS)
    landmarks: list[int] = Field(min_length=3, max_length=MAX_POINTS)
    pinned: list[bool] = Field(min_length=3, max_length=MAX_POINTS)


class Change(BaseModel):
    """A correction as the page sends it; `points` is None if the prediction was restored."""

    version: int
    points: Points | None
    seconds: float = Field(ge=0, allow_inf_nan=False)
    drags: int = Field(ge=0)


def make_app(clips: Clips, corrections: CorrectionsFolder) -> FastAPI:
    """Make the application of the page.

    It accepts every request: put a `security.Guard` in front of it.

    Args:
        clips: The clips to review.
        corrections: Where corrections are read from and saved to.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(RequestValidationError)
    def refuse(*_: Any) -> Response:  # FastAPI's own response repeats the request, and JSON cannot hold its NaN
        return JSONResponse({"detail": "the request does not have the format that the page sends"}, status_code=422)

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
            raise HTTPException(404, "there is no such file")
        return Response(files[name], media_type=_MEDIA_TYPES[name.rsplit(".")[-1]])


def _serve_clips(app: FastAPI, clips: Clips, corrections: CorrectionsFolder) -> None:
    @app.get("/api/clips")
    def listed() -> dict[str, Any]:
        drawing, counts = clips.drawing, corrections.counts()
        return {
            "run": {
                "outline": drawing.outline,
                "straight": drawing.straight,
                "required": drawing.kept,
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
        undone = {frame: {"version": version} for frame, version in enumerate(versions) if version}
        measured = clips.measure(found, {frame: handles for frame, (handles, _) in changed.items()})
        current = {
            frame: {**_correction_json(handles, version), **_frame_json(clips, found, frame, handles, measured)}
            for frame, (handles, version) in changed.items()
        }
        return {**found.facts, "corrections": undone | current}

    @app.get("/api/clips/{number}/frames")
    def frames(number: int, start: int, stop: int) -> Response:
        found = _open(clips, number, start).clip.frames
        limit = start + max(1, MAX_FRAME_BYTES // found[0].size)
        return Response(found[start : min(stop, limit)].tobytes(), media_type=_BINARY)

    @app.get("/api/clips/{number}/frames/{frame}/probabilities")
    def probabilities(number: int, frame: int) -> Response:
        return Response(_open(clips, number, frame).probabilities[frame].tobytes(), media_type=_BINARY)


def _serve_changes(app: FastAPI, clips: Clips, corrections: CorrectionsFolder) -> None:
    @app.post("/api/clips/{number}/frames/{frame}")
    def save(number: int, frame: int, change: Change) -> Any:
        found = _open(clips, number, frame)
        file = found.source.name
        handles = None if change.points is None else _checked(change.points, clips.drawing, found)
        saved = corrections.of(file).get(frame)
        before = saved[0] if saved else found.handles[frame]
        effort = {"seconds": round(change.seconds, 3), "drags": change.drags}
        try:
            version = corrections.save(
                file, frame, handles, version=change.version, before=before.points, effort=effort
            )
        except OutdatedError:
            saved = corrections.of(file).get(frame)
            other = _correction_json(*saved) if saved else {"version": corrections.version(file, frame)}
            return JSONResponse(other, status_code=409)
        except OSError as error:
            raise HTTPException(507, f"the correction was not saved: {error.strerror}") from None
        return {"version": version, **_measured(clips, found, frame, handles, corrections)}

    @app.post("/api/clips/{number}/frames/{frame}/update-others")
    def update_others(number: int, frame: int, points: Points) -> dict[str, Any]:
        found = _open(clips, number, frame)
        try:
            handles = clips.update_others(found, frame, _checked(points, clips.drawing, found))
        except DataError as error:
            raise HTTPException(422, str(error)) from None
        return {"points": handles.points.round(4).tolist()}


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


def _open(clips: Clips, number: int, frame: int = 0) -> LoadedClip:
    try:
        found = clips.open(number)
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


def _corrected(found: LoadedClip, corrections: CorrectionsFolder) -> dict[int, tuple[Handles, int]]:
    """The corrections of the frames that the clip has; the table may have been written for a longer file."""
    count = len(found.clip.frames)
    return {at: change for at, change in corrections.of(found.source.name).items() if at < count}


def _correction_json(handles: Handles, version: int) -> dict[str, Any]:
    return {
        "version": version,
        "points": handles.points.round(4).tolist(),
        "landmarks": handles.landmarks.tolist(),
        "pinned": handles.pinned.tolist(),
    }


def _measured(
    clips: Clips, found: LoadedClip, frame: int, handles: Handles | None, corrections: CorrectionsFolder
) -> dict[str, Any]:
    """Area and volume of a frame and the EF of the clip; the page shows them in place of what it measured itself."""
    changed = {at: change[0] for at, change in _corrected(found, corrections).items()}
    measured = clips.measure(found, changed)
    return {
        **_frame_json(clips, found, frame, handles, measured),
        "ef": None if math.isnan(measured.mean_ef) else measured.mean_ef,
    }


def _frame_json(
    clips: Clips, found: LoadedClip, frame: int, handles: Handles | None, measured: Measurement
) -> dict[str, Any]:
    """Area and volume of a frame; handles are None where it is not corrected."""
    area = found.prediction.areas[frame]
    if handles is not None:
        area = fill_polygons(clips.drawing.join(handles)[None], found.prediction.size).sum()
    return {"area": int(area), "volume": float(measured.volumes[frame])}
