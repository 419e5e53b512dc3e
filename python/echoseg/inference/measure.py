"""From a predicted clip to volumes and ejection fraction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echoseg.geometry.discs import ejection_fraction
from echoseg.inference.predictor import Prediction
from echoseg.io.clip import Clip
from echoseg.metrics.beats import find_beats
from echoseg.metrics.volumes import area_length_volumes, disc_volumes, landmark_axes, outlines_of_masks
from echoseg.models.codec import Codec, LandmarkCodec

ML = 1000.0  # mm³


@dataclass(frozen=True, eq=False)
class Measurement:
    """What a clip of T frames and B beats says.

    Attributes:
        unit: of volumes: "ml" where the spacing is known, else "px3".
        volumes: (T,) float64: by the method of discs; 0 where nothing is seen. Of a stack, each slice's share.
        area_length: (T,) float64: the second opinion; nan for a stack.
        ed, es: (B,) int64: frames of end-diastole and end-systole; B is 0 for a stack, and where there is no beat.
        edv, esv: (B,) float64, end-diastolic and end-systolic volume.
        ef: (B,) float64, ejection fraction, percent.
        volume: of a stack, all slices together; else nan.
    """

    unit: str
    volumes: np.ndarray
    area_length: np.ndarray
    ed: np.ndarray
    es: np.ndarray
    edv: np.ndarray
    esv: np.ndarray
    ef: np.ndarray
    volume: float

    @property
    def mean_edv(self) -> float:
        """Over the beats; nan where there is none."""
        return _mean(self.edv)

    @property
    def mean_esv(self) -> float:
        """Over the beats; nan where there is none."""
        return _mean(self.esv)

    @property
    def mean_ef(self) -> float:
        """Over the beats, percent; nan where there is none."""
        return _mean(self.ef)


def measure(prediction: Prediction, clip: Clip, codec: Codec) -> Measurement:
    """Volumes of all frames and EF of all beats; or, where frames are slices, one volume.

    The beats are found in the curve of the areas; their volumes are those of the two frames, along the axis that
    landmarks tell, or else that of the mask.

    Args:
        prediction: of the clip's frames, at their size.
        clip: says how large and how far apart pixels, slices and moments are.
        codec: of the predictor; says which landmark is the apex.
    """
    known = bool(np.isfinite(clip.spacing).all())
    spacing = clip.spacing if known else (1.0, 1.0)
    unit, scale = ("ml", 1 / ML) if known else ("px3", 1.0)
    if np.isfinite(clip.thickness):
        volumes = scale * prediction.areas * spacing[0] * spacing[1] * (clip.thickness if known else 1.0)
        none, nowhere = np.empty(0), np.empty(0, dtype=np.int64)
        unseen = np.full(len(volumes), np.nan)
        return Measurement(unit, volumes, unseen, nowhere, nowhere, none, none, none, float(volumes.sum()))
    axes = landmark_axes(prediction.landmarks, codec.scheme) if isinstance(codec, LandmarkCodec) else None
    outlines = outlines_of_masks(prediction.masks, axes, spacing)
    volumes = scale * disc_volumes(outlines)
    ed, es = find_beats(prediction.areas, clip.fps).T
    edv, esv = volumes[ed], volumes[es]
    ef = ejection_fraction(edv, esv)
    return Measurement(unit, volumes, scale * area_length_volumes(outlines), ed, es, edv, esv, ef, float("nan"))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
