"""Finds duplicate images: under two names, in two splits, or as two frames of one video.

Images are compared by correlation, not by a hash of their bytes, so that a recompressed image is still recognized.
Among 400 phantom frames and 74 real MRI slices, the thumbnails of different videos have a correlation of at most 0.89,
and those of one frame before and after JPEG compression at quality 50 have 0.99. Video files are also compared by their
bytes, since a duplicate may be traced on other frames.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from echoseg.datasets.store import Store
from echoseg.quality.records import split_names
from echoseg.quality.suspect import Suspect

MIN_THUMBNAIL_CORRELATION, MIN_CORRELATION = 0.98, 0.96
"""Minimum correlation of the thumbnails, and of the frames, of duplicates."""

_SIDE = 16
_CHUNK = 1024


def find_duplicates(store: Store) -> list[Suspect]:
    """Find pairs of videos with the same image, and videos with the same image in two traced frames.

    Videos of one patient in one split may have similar images, but must not be the same file. Files are compared by
    their hashes in the manifest.
    """
    samples, splits = store.samples, split_names(store.samples)
    videos = samples["video"].to_numpy()
    groups = pd.factorize(samples["patient"] + "\n" + splits)[0]
    shared: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for i, j in (*find_duplicate_frames(store.frames, groups), *find_repeated_frames(store.frames, videos)):
        shared[videos[i], videos[j]].append((i, j))
    first = dict(zip(videos[::-1], range(len(videos))[::-1], strict=True))
    paths = {video: samples["path"][image] for video, image in first.items()}
    for video, other in find_identical_files(paths, store.manifest.get("files", {})):
        if not {(video, other), (other, video)} & shared.keys():
            shared[video, other].append((first[video], first[other]))
    found = []
    for (_, other), pairs in shared.items():
        i, j = pairs[0]
        reason = "duplicate" if splits[i] == splits[j] else "duplicate across splits"
        frame, original = (f"frame {samples['frame'][k]} of {videos[k]} ({splits[k]})" for k in (j, i))
        found.append(Suspect(reason, other, len(pairs), f"{frame} is the same image as {original}", (j, i)))
    return found


def find_duplicate_frames(frames: np.ndarray, groups: np.ndarray) -> Iterator[tuple[int, int]]:
    """Find frames of different groups that are the same image, possibly recompressed; blank frames are ignored.

    Args:
        frames: (N, H, W) uint8.
        groups: (N,) int.

    Yields:
        Pairs i < j, where i is the first frame with the image of j.
    """
    small = [cv2.resize(frame, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for frame in np.asarray(frames)]
    thumbnails = _normalise(np.stack(small))
    for start in tqdm(range(0, len(thumbnails), _CHUNK), desc="copies", disable=None):
        chunk, earlier = slice(start, start + _CHUNK), slice(start + _CHUNK)
        similar = thumbnails[chunk] @ thumbnails[earlier].T > MIN_THUMBNAIL_CORRELATION
        similar &= groups[chunk, None] != groups[earlier]
        for j, candidates in enumerate(np.tril(similar, k=start - 1), start):
            frame = _normalise(frames[[j]]) if candidates.any() else None
            for i in np.flatnonzero(candidates).tolist():
                if (_normalise(frames[[i]]) * frame).sum() > MIN_CORRELATION:
                    yield i, j
                    break


def find_repeated_frames(frames: np.ndarray, videos: np.ndarray) -> Iterator[tuple[int, int]]:
    """Find frames of one video that are equal in every pixel; blank frames are ignored.

    Args:
        frames: (N, H, W) uint8.
        videos: (N,) str, the video of each frame.

    Yields:
        Pairs i < j, where i is the first frame equal to j.
    """
    first: dict[tuple[str, bytes], int] = {}
    for j, (video, frame) in enumerate(zip(videos, frames, strict=True)):
        i = first.setdefault((video, hashlib.blake2b(np.ascontiguousarray(frame).data).digest()), j)
        if i != j and _normalise(frame[None]).any():
            yield i, j


def find_identical_files(paths: Mapping[str, str], hashes: Mapping[str, str]) -> list[tuple[str, str]]:
    """Find files with the same content.

    Args:
        paths: Name → file; "" if unknown.
        hashes: File → hash of its content; "" if it could not be read.

    Returns:
        Pairs of names: the first file with that content, and the duplicate.
    """
    names: dict[str, str] = {}  # by file
    for name, path in paths.items():
        names.setdefault(path, name)
    first: dict[str, str] = {}  # by content
    pairs = [(first.setdefault(hashes[path], name), name) for path, name in names.items() if hashes.get(path)]
    return [(earlier, name) for earlier, name in pairs if earlier != name]


def _normalise(images: np.ndarray) -> np.ndarray:
    """(N, pixels) float32 with mean 0 and norm 1, so that a dot product is the correlation; 0 for blank images."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    blank = length < 2 * np.sqrt(flat.shape[1])
    return np.where(blank, 0, flat / np.maximum(length, 1))
