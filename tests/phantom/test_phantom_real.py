"""Phantoms compared with a real apical four-chamber cine; see `examples/real_cine.py`."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
import pytest
from pydicom.examples import get_path

from echoseg.geometry.contour import contour_area
from echoseg.geometry.crop import Box, Crop
from echoseg.io.reading import read_clip
from echoseg.phantom.patient import Patient
from real_cine import load_outlines

SIZE = (112, 112)


@pytest.fixture(scope="module")
def clip():
    return read_clip(get_path("ybr_color"))


@pytest.fixture(scope="module")
def cine(clip):
    """The frames, cropped to the sector and resized to the size of EchoNet-Dynamic."""
    return crop_of(clip).frames(clip.frames)


@pytest.fixture(scope="module")
def outlines(clip):
    return {frame: crop_of(clip).points(outline) for frame, outline in load_outlines().items()}


def crop_of(clip):
    return Crop(Box(*clip.square, clip.square[2]), SIZE)


def measure_appearance(frame, outline):
    """Measure areas, grey levels, contrast and the correlation of neighbouring pixels."""
    cavity = np.zeros(frame.shape, np.uint8)
    cv2.fillPoly(cavity, [np.rint(outline).astype(np.int32)], 1)
    ring = (cv2.dilate(cavity, np.ones((9, 9), np.uint8)) - cavity) > 0
    inner = cv2.erode(cavity, np.ones((5, 5), np.uint8)) > 0
    lit = frame > 2
    detail = frame.astype(np.float32) - cv2.GaussianBlur(frame.astype(np.float32), (0, 0), 3)
    horizontal = np.corrcoef(detail[:, :-1][lit[:, 1:]], detail[:, 1:][lit[:, 1:]])[0, 1]
    vertical = np.corrcoef(detail[:-1][lit[1:]], detail[1:][lit[1:]])[0, 1]
    return {
        "share of pixels that are not black": lit.mean(),
        "share of the ventricle": cavity.mean(),
        "y of the apex": outline[:, 1].min(),
        "mean grey level": frame.mean(),
        "95th percentile of the grey level": np.percentile(frame[lit], 95),
        "grey level of cavity relative to wall": frame[inner].mean() / frame[ring].mean(),
        "horizontal correlation": horizontal,
        "vertical correlation": vertical,
    }


@pytest.mark.slow
def test_the_appearance_of_the_real_cine_is_within_the_range_of_phantoms(cine, outlines):
    patients = [Patient(17, index) for index in range(60)]
    for phase, frame in (("es", 4), ("ed", 22)):
        phantoms = []
        for patient in patients:
            number = getattr(patient, phase)
            septal, lateral = patient.endocardium(number)
            phantoms.append(measure_appearance(patient.frame(number), np.concatenate([septal[::-1], lateral])))
        population = pd.DataFrame(phantoms)
        rank = {
            name: (population[name] < value).mean()
            for name, value in measure_appearance(cine[frame], outlines[frame]).items()
        }
        assert all(0.01 < share < 0.99 for share in rank.values()), f"{phase}: {rank}"


def test_the_areas_of_the_real_cine_follow_the_cardiac_cycle(outlines):
    area = {frame: float(contour_area(outline)) for frame, outline in outlines.items()}
    assert area[4] < area[27] < area[10] < area[22]
    assert 0.4 < area[4] / area[22] < 0.8
