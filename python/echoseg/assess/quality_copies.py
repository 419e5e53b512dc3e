"""The same picture twice: under two names, in two splits, or as both frames of one video.

Pictures are compared by correlation, not by a hash of their bytes: one that was compressed again is still the same. Of
400 phantom frames and 74 real MRI slices, the thumbnails of different videos correlate by 0.89 at most, and those of
one frame before and after JPEG at quality 50 by 0.99. Video files are compared by their bytes as well, since a copy may
be traced on other frames.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from echoseg.assess.quality_records import split_names
from echoseg.assess.quality_suspect import Suspect
from echoseg.data.files import hash_file
from echoseg.data.store import Store
from echoseg.data.tracing import Recording

ALIKE_SMALL, ALIKE = 0.98, 0.96
"""Least correlation of two thumbnails, and of two frames, that are one picture."""

_SIDE = 16
_CHUNK = 1024


def find_copies(store: Store, recordings: Sequence[Recording] = ()) -> list[Suspect]:
    """Pairs of videos that share a picture, and videos whose traced frames are one picture.

    Videos of one patient in one split may share what they like.
    """
    samples = store.samples
    videos, patients = samples["video"].to_numpy(), samples["patient"].to_numpy()
    splits = split_names(samples)
    shared: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for i, j in find_same_pictures(np.asarray(store.frames)):
        same_video = videos[i] == videos[j]
        if same_video and not np.array_equal(store.frames[i], store.frames[j]):
            continue  # neighbouring frames are alike
        if same_video or patients[i] != patients[j] or splits[i] != splits[j]:
            shared[videos[i], videos[j]].append((i, j))

    first = dict(zip(videos[::-1], range(len(videos))[::-1], strict=True))
    for one, other in find_same_files({recording.name: recording.path for recording in recordings}):
        if (one, other) not in shared and (other, one) not in shared and one in first and other in first:
            shared[one, other].append((first[one], first[other]))
    found = []
    for (_, other), pairs in shared.items():
        i, j = pairs[0]
        reason = "copy" if splits[i] == splits[j] else "copy across splits"
        here, there = (f"frame {samples['frame'][k]} of {videos[k]} ({splits[k]})" for k in (j, i))
        note = f"{here} shows the same as {there}"
        found.append(Suspect(reason, other, float(len(pairs)), note, (j, i)))
    return found


def find_same_pictures(frames: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of frames that are one picture, perhaps compressed again; blank ones are none.

    Args:
        frames: (N, H, W) uint8.

    Yields:
        i < j.
    """
    small = _normalise(np.stack([cv2.resize(frame, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for frame in frames]))
    for start in range(0, len(small), _CHUNK):
        near = small[start : start + _CHUNK] @ small[start:].T > ALIKE_SMALL
        for i, j in np.argwhere(np.triu(near, k=1)) + start:
            if (_normalise(frames[[i]]) * _normalise(frames[[j]])).sum() > ALIKE:
                yield int(i), int(j)


def find_same_files(paths: dict[str, Path]) -> list[tuple[str, str]]:
    """Pairs of names whose files are the same, byte for byte; only files of one size are read."""
    by_size: dict[int, list[str]] = defaultdict(list)
    for name, path in paths.items():
        if path.is_file():
            by_size[path.stat().st_size].append(name)
    pairs = []
    for names in by_size.values():
        by_hash: dict[str, list[str]] = defaultdict(list)
        for name in names if len(names) > 1 else ():
            by_hash[hash_file(paths[name])].append(name)
        pairs += [pair for same in by_hash.values() for pair in itertools.combinations(same, 2)]
    return pairs


def _normalise(pictures: np.ndarray) -> np.ndarray:
    """(N, pixels) float32 of mean 0 and length 1, so that a product is a correlation; 0 where nothing is shown."""
    flat = pictures.reshape(len(pictures), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    blank = length < 2 * np.sqrt(flat.shape[1])
    return np.where(blank, 0, flat / np.maximum(length, 1))
