"""The images of an evaluation with their outlines, from which the report page shows each case: `cases_SPLIT.json`."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from echoseg.errors import DataError
from echoseg.evaluation.evaluate import Evaluation
from echoseg.utils.checksum import add_checksum, parse
from echoseg.utils.files import replace_file

MAX_CASES = 1000
"""The cases with the smallest Dice are kept, so that the page of a large data set stays below about 10 MB."""
_POINTS = re.compile(r"[-+.,e0-9 ]*")
_BASE64 = re.compile(r"[A-Za-z0-9+/=]*")


def write_cases(evaluation: Evaluation, frames: np.ndarray, contours: Sequence[np.ndarray], path: Path) -> None:
    """Write the cases of a split, those with the smallest Dice first.

    The file holds `size`, the height and width of the images, and `cases`, each with `case`, its row in
    `images_SPLIT.csv`; `image`, a JPEG file in base64; and `true`, `predicted` and `landmarks`, points in pixels of the
    image, as the `points` of an SVG polygon.

    Args:
        evaluation: The evaluation of the split.
        frames: The frames that were evaluated, (N, H, W) uint8.
        contours: Their true contours, N arrays (P, 2) float32, pixels.
        path: The file to write.
    """
    prediction = evaluation.prediction
    order = np.argsort(evaluation.images["dice"].to_numpy(), kind="stable")[:MAX_CASES]
    cases = [
        {
            "case": int(i) + 1,
            "image": base64.b64encode(
                cv2.imencode(".jpg", frames[i], [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
            ).decode(),
            "true": _points(contours[i]),
            "predicted": _points(prediction.contours[i]),
            "landmarks": "" if prediction.landmarks is None else _points(prediction.landmarks[i]),
        }
        for i in order
    ]
    text = json.dumps(add_checksum({"size": list(frames.shape[1:]), "cases": cases}), separators=(",", ":"))
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def read_cases(path: Path) -> dict[str, Any] | None:
    """Read what `write_cases` wrote.

    Args:
        path: The file.

    Returns:
        The content; None if there is no file.

    Raises:
        DataError: The file is damaged.
    """
    if not path.exists():
        return None
    try:
        values = parse(path.read_text(encoding="utf-8"), required=True)
        height, width = values["size"]
        texts = {"image": _BASE64, "true": _POINTS, "predicted": _POINTS, "landmarks": _POINTS}
        valid = all(isinstance(side, int) and side > 0 for side in (height, width)) and all(
            isinstance(case["case"], int) and all(form.fullmatch(case[name]) for name, form in texts.items())
            for case in values["cases"]
        )
    except (ValueError, KeyError, TypeError):
        valid = False
    if not valid:
        raise DataError(f"{path}: is damaged; run 'echoseg evaluate' again")
    return values


def _points(points: np.ndarray) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points[np.isfinite(points).all(axis=1)].tolist())
