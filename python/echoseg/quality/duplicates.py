"""The same picture twice: under two names, in two splits, or as both frames of one video.

Pictures are compared by correlation, not by a hash of their bytes: one that was compressed again is still the same. Of
400 phantom frames and 74 real MRI slices, the thumbnails of different videos correlate by 0.89 at most, and those of
one frame before and after JPEG at quality 50 by 0.99. Video files are compared by their bytes as well, since a copy may
be traced on other frames.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from echoseg.datasets.recording import Recording
from echoseg.datasets.store import Store
from echoseg.quality.records import split_names
from echoseg.quality.suspect import Suspect
from echoseg.utils.files import hash_file

ALIKE_SMALL, ALIKE = 0.98, 0.96
"""Least correlation of two thumbnails, and of two frames, that are one picture."""

_SIDE = 16
_CHUNK = 1024


def find_copies(store: Store, recordings: Sequence[Recording] = ()) -> list[Suspect]:
    """Pairs of videos that share a picture, and videos whose traced frames are one picture.

    Different videos of one patient in one split may be as alike as they like, but not the same file.
    """
    samples, splits = store.samples, split_names(store.samples)
    videos = samples["video"].to_numpy()
    groups = pd.factorize(samples["patient"] + "\n" + splits)[0]
    shared: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for i, j in (*find_same_pictures(store.frames, groups), *find_equal_pictures(store.frames, videos)):
        shared[videos[i], videos[j]].append((i, j))
    first = dict(zip(videos[::-1], range(len(videos))[::-1], strict=True))
    for one, other in find_same_files({recording.name: recording.path for recording in recordings}):
        if one in first and other in first and not {(one, other), (other, one)} & shared.keys():
            shared[one, other].append((first[one], first[other]))
    found = []
    for (_, other), pairs in shared.items():
        i, j = pairs[0]
        reason = "copy" if splits[i] == splits[j] else "copy across splits"
        here, there = (f"frame {samples['frame'][k]} of {videos[k]} ({splits[k]})" for k in (j, i))
        found.append(Suspect(reason, other, len(pairs), f"{here} shows the same as {there}", (j, i)))
    return found


def find_same_pictures(frames: np.ndarray, groups: np.ndarray) -> Iterator[tuple[int, int]]:
    """Frames that are one picture, perhaps compressed again, in different groups; blank ones are none.

    Args:
        frames: (N, H, W) uint8.
        groups: (N,) int.

    Yields:
        i < j, where i is the first that j is the same as.
    """
    small = [cv2.resize(frame, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for frame in np.asarray(frames)]
    thumbnails = _normalise(np.stack(small))
    for start in tqdm(range(0, len(thumbnails), _CHUNK), desc="copies", disable=None):
        these, earlier = slice(start, start + _CHUNK), slice(start + _CHUNK)
        near = thumbnails[these] @ thumbnails[earlier].T > ALIKE_SMALL
        near &= groups[these, None] != groups[earlier]
        for j, candidates in enumerate(np.tril(near, k=start - 1), start):
            mine = _normalise(frames[[j]]) if candidates.any() else None
            same = (int(i) for i in np.flatnonzero(candidates) if (_normalise(frames[[i]]) * mine).sum() > ALIKE)
            yield from ((i, j) for i in itertools.islice(same, 1))


def find_equal_pictures(frames: np.ndarray, videos: np.ndarray) -> Iterator[tuple[int, int]]:
    """Frames i < j of one video that are equal in every pixel; blank ones do not count."""
    first: dict[tuple[str, bytes], int] = {}
    for j, (video, frame) in enumerate(zip(videos, frames, strict=True)):
        i = first.setdefault((video, hashlib.blake2b(np.ascontiguousarray(frame).data).digest()), j)
        if i != j and _normalise(frame[None]).any():
            yield i, j


def find_same_files(paths: dict[str, Path]) -> list[tuple[str, str]]:
    """Names whose files are the same, byte for byte, each with the first such; only files of one size are read."""
    by_size: dict[int, dict[Path, str]] = defaultdict(dict)
    for name, path in paths.items():
        if path.is_file():
            by_size[path.stat().st_size].setdefault(path, name)
    pairs = []
    for names in by_size.values():
        first: dict[str, str] = {}
        for path, name in names.items() if len(names) > 1 else ():
            if (earlier := first.setdefault(hash_file(path), name)) != name:
                pairs.append((earlier, name))
    return pairs


def _normalise(pictures: np.ndarray) -> np.ndarray:
    """(N, pixels) float32 of mean 0 and length 1, so that a product is a correlation; 0 where nothing is shown."""
    flat = pictures.reshape(len(pictures), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    blank = length < 2 * np.sqrt(flat.shape[1])
    return np.where(blank, 0, flat / np.maximum(length, 1))
