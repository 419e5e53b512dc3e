"""Finds tracings that were put right when they were read: pieces of masks left out, holes filled, chords turned."""

from __future__ import annotations

from collections.abc import Sequence

from echoseg.datasets.recording import Recording
from echoseg.datasets.store import Store
from echoseg.quality.suspect import Suspect

MAX_PIECES, MAX_HOLES = 0.03, 0.1
"""Maximum shares: of a mask in other pieces, and of the pixels in the contour that are holes, such as those that
papillary muscles leave."""


def find_repairs(store: Store, recordings: Sequence[Recording]) -> list[Suspect]:
    """Find masks with other pieces or large holes, and tracings with turned chords.

    Args:
        store: The store.
        recordings: The recordings that the store was made from.
    """
    names = zip(store.samples["video"], store.samples["frame"], strict=True)
    images = {(name, int(frame)): (number,) for number, (name, frame) in enumerate(names)}
    found = []
    for recording in recordings:
        for tracing in recording.tracings:
            image = images.get((recording.name, tracing.frame), ())
            frame = f"frame {tracing.frame} of {recording.name}"
            if tracing.pieces > MAX_PIECES:
                note = f"{frame}: {tracing.pieces:.0%} of the mask is in other pieces, which are left out"
                found.append(Suspect("several pieces", recording.name, tracing.pieces, note, image))
            if tracing.holes > MAX_HOLES:
                note = f"{frame}: {tracing.holes:.0%} inside the contour are holes of the mask, which are filled"
                found.append(Suspect("holes", recording.name, tracing.holes, note, image))
            if tracing.turned:
                note = f"{frame}: crosses itself in the file; {tracing.turned} chords were turned"
                found.append(Suspect("self-intersection", recording.name, tracing.turned, note, image))
    return found
