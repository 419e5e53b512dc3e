"""Suspicious parts of a data set: they can be used, but may be mistakes."""

from __future__ import annotations

from dataclasses import dataclass

REASONS = {
    "patient in two splits": "a patient is in two splits; training refuses this",
    "invalid split": "the column Split has values that training refuses",
    "duplicate across splits": "the same image is in two splits, so the test set contains training data",
    "duplicate": "the same image has two names, or occurs twice in a video",
    "ESV greater than EDV": "the end-systolic volume in the list is greater than the end-diastolic volume",
    "ED and ES swapped": "the ES contour is larger than the ED contour, or each contour fits the other's frame",
    "EF inconsistent": "the EF in the list differs from the volumes in the list, or greatly from the contours",
    "turned or mirrored": "all contours fit their images better if they are turned or mirrored",
    "no edges": "the contours of the data set follow no edges, so they may belong to other images",
    "blank frame": "the image has nearly no contrast around the contour",
    "outside the image": "a large part of the contour is where the image is black",
    "unusual size": "the size differs greatly from the data set, or from other frames of the video",
    "unusual position": "the position differs greatly from the data set, or from other frames of the video",
    "unusual overall": "size, position and border together differ greatly from the data set",
    "covers the image": "the contour encloses most of the image; background and structure may be swapped",
    "on the border": "much of the contour is on the border of the image, where it may be cut off",
    "hollow": "the contour is far from convex, as that of a wall is, not of a cavity",
    "several pieces": "the mask has other pieces, which are left out",
    "holes": "the mask has holes, which are filled",
    "self-intersection": "the contour intersects itself, or did before some of its chords were turned",
    "video cut off": "the file is shorter, or has fewer frames, than its header declares; frame numbers may be wrong",
}
"""Reason → explanation; the most definite reasons first."""


@dataclass(frozen=True)
class Suspect:
    """A suspicious recording or frame: it may be a mistake, or unusual anatomy.

    Attributes:
        reason: A name in `REASONS`.
        video: The name of the recording.
        value: The severity; comparable only between suspects with the same reason.
        note: A description.
        images: Indices of images in the store to inspect, the suspicious one first.
    """

    reason: str
    video: str
    value: float
    note: str
    images: tuple[int, ...] = ()
