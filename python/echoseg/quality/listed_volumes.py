"""Finds inconsistent volumes and phases: within the file list, between list and contours, and on the images."""

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

MAX_LIST_DIFFERENCE = 3.0
"""Maximum difference in percentage points between the EF in the list and that of its volumes, which may be rounded."""

MAX_DEVIATION, MIN_DIFFERENCE = 8.0, 20.0
"""The contours' EF is inconsistent if it differs from the list's by more than this many deviations and points.

The largest difference among phantoms, whose list is not computed from the contours, is 33 points and 6.0 deviations."""

MIN_PIXELS, MIN_CHANGE = 30, 0.1
"""Minimum size of the region between two contours for comparing them with the frames: in pixels, and as a share of the
ED contour's. In a smaller region the valve leaflets decide, not the wall."""

MAX_RATIO = 1.03
"""Maximum of the ES contour's area divided by the ED contour's: the tracings of a heart that hardly beats vary."""

SWAPPED = -0.04
"""`phase_agreement` below which ED and ES are reported as swapped.

Among 2,396 phantoms the minimum is -0.017 and the median 0.24. With exchanged frames, 98 % of them are reported.
"""

_POINTS = 64


def find_inconsistent_volumes(store: Store, ignored: Collection[str] = ()) -> list[Suspect]:
    """Find videos whose volumes or phases are inconsistent.

    Args:
        store: The store, of any kind of tracing.
        ignored: Videos with suspicious contours or images, which are not compared with the list.
    """
    pairs = phase_pairs(store.samples)
    pairs = pairs[~pairs.index.isin(list(ignored))]
    found = {suspect.video: suspect for suspect in _check_list(store.samples)}
    for suspect in (*_find_swapped(store, pairs), *_compare_ef(store, pairs)):
        found.setdefault(suspect.video, suspect)
    return list(found.values())


def phase_pairs(samples: pd.DataFrame) -> pd.DataFrame:
    """The indices of the ED and ES image of each video that has exactly one of each.

    Returns:
        One row per video, indexed by its name, with the columns ED and ES.
    """
    named = samples[samples["phase"].isin(("ED", "ES"))]
    counts = named.groupby(["video", "phase"]).size().unstack(fill_value=0).reindex(columns=["ED", "ES"], fill_value=0)
    named = named[named["video"].isin(counts.index[(counts == 1).all(axis=1)])]
    return named.reset_index().pivot(index="video", columns="phase", values="index").reindex(columns=["ED", "ES"])


def _check_list(samples: pd.DataFrame) -> list[Suspect]:
    """Videos whose EF and volumes in the list are inconsistent."""
    found = []
    for row in samples.drop_duplicates("video").itertuples():
        if row.esv > row.edv:
            note = f"{row.video} lists an ESV of {row.esv:.0f}, greater than its EDV of {row.edv:.0f}"
            found.append(Suspect("ESV greater than EDV", row.video, row.esv / max(row.edv, 1e-9), note, (row.Index,)))
            continue
        computed = float(ejection_fraction(row.edv, row.esv))
        if abs(computed - row.ef) > MAX_LIST_DIFFERENCE:
            note = f"{row.video} lists an EF of {row.ef:.0f} %, but its volumes give {computed:.0f} %"
            found.append(Suspect("EF inconsistent", row.video, abs(computed - row.ef), note, (row.Index,)))
        elif not (np.isnan(row.ef) or 0 <= row.ef <= 100):
            note = f"{row.video} lists an EF of {row.ef:.0f} %"
            found.append(Suspect("EF inconsistent", row.video, abs(row.ef), note, (row.Index,)))
    return found


def _find_swapped(store: Store, pairs: pd.DataFrame) -> list[Suspect]:
    """Videos whose ES contour is larger than the ED contour, or whose contours fit each other's frame."""
    agreement = phase_agreement(store, pairs)
    found = []
    for (video, ed, es), agrees in zip(pairs[["ED", "ES"]].itertuples(), agreement, strict=True):
        ratio = float(contour_area(store.contour(es)) / contour_area(store.contour(ed)))
        if ratio > MAX_RATIO:
            note = f"the ES contour of {video} is {ratio:.2f} times as large as the ED contour"
        elif agrees < SWAPPED:
            note = f"each contour of {video} fits the other's frame better than its own, or one is wrong"
        else:
            continue
        found.append(Suspect("ED and ES swapped", video, max(ratio, -agrees), note, (ed, es)))
    return found


def phase_agreement(store: Store, pairs: pd.DataFrame) -> np.ndarray:
    """Whether the region between the ED and the ES contour is cavity in the ED frame and wall in the ES frame.

    The wall is brighter than the cavity in ultrasound and darker in most MRI; the data set's median decides.

    Args:
        store: The store, of any kind of tracing.
        pairs: The result of `phase_pairs`.

    Returns:
        (V,) float64: of the pixels inside the ED contour, the share that is between the contours and looks like wall in
        the ES frame, minus the share that looks like wall in the ED frame. nan if there are too few such pixels, or if
        the median over the data set is too small to decide.
    """
    shares = np.full(len(pairs), np.nan)
    for k, (_, ed, es) in enumerate(pairs[["ED", "ES"]].itertuples()):
        ed_mask, es_mask = (fill_polygons(store.contour(i)[None], store.size)[0] for i in (ed, es))
        between = (ed_mask & ~es_mask) > 0
        if between.sum() >= max(MIN_PIXELS, MIN_CHANGE * ed_mask.sum()):
            at_ed, at_es = (cv2.GaussianBlur(np.asarray(store.frames[i]), (0, 0), 1.0)[between] for i in (ed, es))
            shares[k] = ((at_es > at_ed).sum() - (at_es < at_ed).sum()) / ed_mask.sum(dtype=np.int64)
    valid = shares[~np.isnan(shares)]
    if len(valid) < 5 or abs(np.median(valid)) < 2 * abs(SWAPPED):
        return np.full(len(pairs), np.nan)
    return np.asarray(shares * np.sign(np.median(valid)))


def _compare_ef(store: Store, pairs: pd.DataFrame) -> list[Suspect]:
    """Videos whose EF by the method of discs differs from the list's much more than usual in the data set."""
    listed = store.samples["ef"].to_numpy()[pairs["ED"].to_numpy(dtype=np.intp)]
    pairs, listed = pairs[~np.isnan(listed)], listed[~np.isnan(listed)]
    if pairs.empty:
        return []
    scale = store.samples[["spacing_x", "spacing_y"]].to_numpy()
    without_spacing = store.samples[["width", "height"]].to_numpy() / np.array(store.size[::-1])
    scale = np.where(np.isnan(scale), without_spacing, scale)
    contours = choose_landmarks(store.points, _POINTS, offsets=store.offsets).astype(np.float64) * scale[:, None]
    volumes = disc_volumes(contours)
    traced = ejection_fraction(*(volumes[pairs[phase].to_numpy(dtype=np.intp)] for phase in ("ED", "ES")))
    deviation = np.abs(deviations(traced - listed, MIN_DIFFERENCE / MAX_DEVIATION))
    found = []
    for k, (video, ed, es) in enumerate(pairs[["ED", "ES"]].itertuples()):
        if deviation[k] > MAX_DEVIATION:
            note = f"{video} lists an EF of {listed[k]:.0f} %, its contours give {traced[k]:.0f} %"
            found.append(Suspect("EF inconsistent", video, abs(traced[k] - listed[k]), note, (ed, es)))
    return found
