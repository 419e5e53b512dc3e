"""Finds tracings that were put right when they were read: pieces of masks left out, holes filled, chords turned."""

from __future__ import annotations

from echoseg.datasets.store import Store
from echoseg.quality.suspect import Suspect

MAX_PIECES, MAX_HOLES = 0.03, 0.1
"""Maximum shares: of a mask in other pieces, and of the pixels in the contour that are holes, such as those that
papillary muscles leave."""


def find_repairs(store: Store) -> list[Suspect]:
    """Find masks with other pieces or large holes, and tracings with turned chords."""
    found = []
    for row in store.samples.itertuples():
        frame, image = f"frame {row.frame} of {row.video}", (row.Index,)
        if row.pieces > MAX_PIECES:
            note = f"{frame}: {row.pieces:.0%} of the mask is in other pieces, which are left out"
            found.append(Suspect("several pieces", row.video, row.pieces, note, image))
        if row.holes > MAX_HOLES:
            note = f"{frame}: {row.holes:.0%} inside the contour are holes of the mask, which are filled"
            found.append(Suspect("holes", row.video, row.holes, note, image))
        if row.turned:
            note = f"{frame}: crosses itself in the file; {row.turned} chords were turned"
            found.append(Suspect("self-intersection", row.video, row.turned, note, image))
    return found
