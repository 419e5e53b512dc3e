"""What can look wrong in a data set that nevertheless can be used."""

from __future__ import annotations

from dataclasses import dataclass

REASONS = {
    "patient across splits": "one patient stands in two splits; training refuses that",
    "split unusable": "the column Split holds what training does not take",
    "copy across splits": "the same picture stands in two splits: what is tested on was trained on",
    "copy": "the same picture stands under two names, or twice in one video",
    "ESV above EDV": "of the volumes listed, the larger one is called end-systolic",
    "ED and ES swapped": "the larger outline is called end-systolic, or each outline fits the other one's frame",
    "EF disagrees": "the EF listed is not that of the volumes listed, or far from that of the outlines",
    "blank frame": "there is nothing to be seen about the outline",
    "outside the picture": "much of the outline lies where the picture shows nothing",
    "odd size": "far from the sizes in the data set, or from the others in the same video",
    "odd place": "far from the places in the data set, or from the others in the same video",
    "odd altogether": "size, place and border together are far from those of the data set",
    "crosses itself": "the outline crosses itself, and parts of its inside count as outside",
    "video cut off": "the file is shorter, or has fewer frames, than its head says; tracings may lie on other frames",
}
"""Reason → what it means; the plainest first."""


@dataclass(frozen=True)
class Suspect:
    """One thing that may be a mistake, or a rare heart.

    Attributes:
        reason: A name in `REASONS`.
        video: The recording it is about.
        value: How bad; comparable within a reason only.
        note: What was seen, in a few words.
        images: Of the store, to look at; the first is the one meant.
    """

    reason: str
    video: str
    value: float
    note: str
    images: tuple[int, ...] = ()
