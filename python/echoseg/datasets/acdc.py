"""The names of ACDC: a film `patient001_4d.nii.gz`, its frames at ED and ES with a mask each, and `Info.cfg`.

The frames and masks are pairs, as in `pairs`; `Info.cfg` says which frame is ED and which ES.

Source: Bernard et al., "Deep Learning Techniques for Automatic MRI Cardiac Multi-Structures Segmentation and
Diagnosis", IEEE TMI 2018; https://www.creatis.insa-lyon.fr/Challenge/acdc/
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

INFO = "Info.cfg"

_FRAME = re.compile(r".+_frame(\d+)", re.IGNORECASE)
_FILM = re.compile(r"(.+)_4d", re.IGNORECASE)
_LINE = re.compile(r"\s*(ED|ES)\s*[:=]\s*(\d+)\s*")


def phase_of(stem: str, folder: Path) -> str:
    """The phase of a frame by the `Info.cfg` in its folder: "ED" or "ES"; "" if it is unknown.

    Args:
        stem: The name of the frame without suffix, such as "patient001_frame12".
        folder: The folder of the frame.
    """
    frame, info = _FRAME.fullmatch(stem), folder / INFO
    if frame is None or not info.is_file():
        return ""
    lines = info.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    found = {int(match[2]): match[1] for line in lines if (match := _LINE.fullmatch(line))}
    return found.get(int(frame[1]), "")


def is_film_of(stem: str, others: Iterable[str]) -> bool:
    """Whether a file without a mask is the film of which others are frames, by their names without suffix."""
    film = _FILM.fullmatch(stem)
    return film is not None and any(other.startswith(f"{film[1]}_frame") for other in others)
