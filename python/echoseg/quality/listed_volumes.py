"""Volumes and phases that look wrong: in the list, between list and outlines, and between outlines and pictures."""

from __future__ import annotations

from collections.abc import Collection

import cv2
import numpy as np
import pandas as pd

from echoseg.datasets.store import Store
from echoseg.geometry.contour import contour_area
from echoseg.geometry.discs import disc_volumes, ejection_fraction
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.ops import fill_polygons
from echoseg.quality.contours import deviations
from echoseg.quality.suspect import Suspect

MOST_EF_IN_LIST = 3.0
"""Points of EF by which a list may differ from its own volumes, which may be rounded."""

FAR_EF, LEAST_EF = 8.0, 20.0
"""By how many deviations, and by how many points at least, the outlines' EF must differ from the list's to be told.

On phantoms, whose list is not made from the outlines, the largest difference is 33 points or 6.0 deviations."""

LEAST_BETWEEN = 30
"""Pixels between two outlines that can tell which of them fits which frame."""

SWAPPED = -0.04
"""`phase_agreement` below which two outlines are told to fit each other's frame.

Of 1,004 phantoms the least is -0.015 and the median 0.24; 98 % of them would be told if their frames were exchanged.
"""

_STEPS = 64


def find_odd_volumes(store: Store, doubtful: Collection[str] = ()) -> list[Suspect]:
    """Look at what the list says of each video, and at its ED and ES outlines.

    Args:
        store: of any kind of tracing.
        doubtful: videos whose outlines or pictures are wrong anyway, so that nothing is to be learnt from them.
    """
    pairs = phase_pairs(store.samples)
    pairs = pairs[~pairs.index.isin(list(doubtful))]
    found = {suspect.video: suspect for suspect in _find_odd_lists(store.samples)}
    for suspect in (*_find_swapped(store, pairs), *_find_far_ef(store, pairs)):
        found.setdefault(suspect.video, suspect)
    return list(found.values())


def phase_pairs(samples: pd.DataFrame) -> pd.DataFrame:
    """The images of end-diastole and end-systole, of the videos that have one of each.

    Returns:
        A row a video, by name: columns ED and ES.
    """
    named = samples[samples["phase"].isin(("ED", "ES"))]
    counts = named.groupby(["video", "phase"]).size().unstack(fill_value=0).reindex(columns=["ED", "ES"], fill_value=0)
    named = named[named["video"].isin(counts.index[(counts == 1).all(axis=1)])]
    return named.reset_index().pivot(index="video", columns="phase", values="index").reindex(columns=["ED", "ES"])


def _find_odd_lists(samples: pd.DataFrame) -> list[Suspect]:
    """Lists that contradict themselves."""
    found = []
    for row in samples.drop_duplicates("video").itertuples():
        if row.esv > row.edv:
            note = f"{row.video} lists an ESV of {row.esv:.0f} above its EDV of {row.edv:.0f}"
            found.append(Suspect("ESV above EDV", row.video, row.esv / max(row.edv, 1e-9), note, (row.Index,)))
            continue
        of_volumes = float(ejection_fraction(row.edv, row.esv))
        if abs(of_volumes - row.ef) > MOST_EF_IN_LIST:
            note = f"{row.video} lists an EF of {row.ef:.0f} %, but volumes of {of_volumes:.0f} %"
            found.append(Suspect("EF disagrees", row.video, abs(of_volumes - row.ef), note, (row.Index,)))
        elif not (np.isnan(row.ef) or 0 <= row.ef <= 100):
            note = f"{row.video} lists an EF of {row.ef:.0f} %"
            found.append(Suspect("EF disagrees", row.video, abs(row.ef), note, (row.Index,)))
    return found


def _find_swapped(store: Store, pairs: pd.DataFrame) -> list[Suspect]:
    """ES outlines larger than ED ones, where the data set names them, and outlines on each other's frame."""
    agreement = phase_agreement(store, pairs)
    found = []
    for (video, ed, es), agrees in zip(pairs[["ED", "ES"]].itertuples(), agreement, strict=True):
        larger = float(contour_area(store.contour(es)) / contour_area(store.contour(ed)))
        if larger > 1:
            note = f"the ES outline of {video} is {larger:.2f} times as large as the ED outline"
        elif agrees < SWAPPED:
            note = f"each outline of {video} fits the other's frame better than its own, or one is wrong"
        else:
            continue
        found.append(Suspect("ED and ES swapped", video, max(larger, -agrees), note, (ed, es)))
    return found


def phase_agreement(store: Store, pairs: pd.DataFrame) -> np.ndarray:
    """Whether what lies between the two outlines of a video is cavity in the one frame and wall in the other.

    Whether a wall is brighter than the cavity (ultrasound) or darker (most MRI), the data set itself tells.

    Args:
        store: of any kind.
        pairs: of `phase_pairs`.

    Returns:
        (V,) float64: of the ED outline's pixels, the share that lies between the two and is wall at ES, less the share
        that lies there and is wall at ED; nan where too few lie there, or where the data set does not tell.
    """
    shares = np.full(len(pairs), np.nan)
    for k, (_, ed, es) in enumerate(pairs[["ED", "ES"]].itertuples()):
        first, second = (fill_polygons(store.contour(i)[None], store.size)[0] for i in (ed, es))
        between = (first & ~second) > 0
        if between.sum() >= LEAST_BETWEEN:
            before, after = (cv2.GaussianBlur(np.asarray(store.frames[i]), (0, 0), 1.0)[between] for i in (ed, es))
            shares[k] = ((after > before).sum() - (after < before).sum()) / first.sum(dtype=np.int64)
    known = shares[~np.isnan(shares)]
    if len(known) < 5 or abs(np.median(known)) < 2 * abs(SWAPPED):
        return np.full(len(pairs), np.nan)
    return np.asarray(shares * np.sign(np.median(known)))


def _find_far_ef(store: Store, pairs: pd.DataFrame) -> list[Suspect]:
    """Videos whose EF by the method of discs is far from the list's, as far as the two agree in the data set."""
    listed = store.samples["ef"].to_numpy()[pairs["ED"].to_numpy(dtype=np.intp)]
    pairs, listed = pairs[~np.isnan(listed)], listed[~np.isnan(listed)]
    if pairs.empty:
        return []
    scale = store.samples[["spacing_x", "spacing_y"]].to_numpy()
    unknown = store.samples[["width", "height"]].to_numpy() / np.array(store.size[::-1])
    scale = np.where(np.isnan(scale), unknown, scale)
    steps = choose_landmarks(store.points, _STEPS, offsets=store.offsets).astype(np.float64) * scale[:, None]
    volumes = disc_volumes(steps)
    traced = ejection_fraction(*(volumes[pairs[phase].to_numpy(dtype=np.intp)] for phase in ("ED", "ES")))
    far = np.abs(deviations(traced - listed, LEAST_EF / FAR_EF))
    words = "{} lists an EF of {:.0f} %, its outlines give {:.0f} %"
    return [
        Suspect("EF disagrees", video, abs(a - b), words.format(video, b, a), (ed, es))
        for (video, ed, es), a, b, odd in zip(pairs[["ED", "ES"]].itertuples(), traced, listed, far, strict=True)
        if odd > FAR_EF
    ]
