"""Phantoms beside a real apical four-chamber cine, the one that pydicom ships as its example ``ybr_color``.

``test_phantom_real_cine.csv`` is the left ventricle in four of its 30 frames (240 × 320): 22 end-diastole, 4
end-systole, 10 with the mitral valve wide open, 27 early systole. Traced by eye for echoseg, by no cardiologist, on the
frame enlarged six times with its grey levels spread by a square root, the apex checked on means of five frames around
it: along the inner border of the compact muscle, trabeculae and papillary muscle inside, from hinge to hinge across the
mitral annulus.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from echoseg.data.phantom.patient import Patient
from echoseg.geometry.contour import contour_area

# The square around the sector: left, top, side in pixels of the cine. The white dot of the screen is painted over.
LEFT, TOP, SIDE = 78, 18, 184
DOT = (188, 20)


@pytest.fixture(scope="module")
def cine():
    pydicom = pytest.importorskip("pydicom")
    from pydicom.encaps import generate_frames
    from pydicom.examples import get_path

    data = pydicom.dcmread(get_path("ybr_color"))
    packed = generate_frames(data.PixelData, number_of_frames=int(data.NumberOfFrames))
    frames = np.stack([cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_GRAYSCALE) for frame in packed])
    for frame in frames:
        cv2.circle(frame, DOT, 5, 0, -1)
    frames = frames[:, TOP : TOP + SIDE, LEFT : LEFT + SIDE]
    return np.stack([cv2.resize(frame, (112, 112), interpolation=cv2.INTER_AREA) for frame in frames])


@pytest.fixture(scope="module")
def outlines():
    table = pd.read_csv(Path(__file__).with_name("test_phantom_real_cine.csv"))
    scale, origin = 112 / SIDE, np.array([LEFT, TOP])
    return {
        frame: (points[["x", "y"]].to_numpy() - origin + 0.5) * scale - 0.5 for frame, points in table.groupby("frame")
    }


def look(frame, outline):
    """What the eye compares: shares of the picture, greys, contrast, grain."""
    cavity = np.zeros(frame.shape, np.uint8)
    cv2.fillPoly(cavity, [np.rint(outline).astype(np.int32)], 1)
    ring = (cv2.dilate(cavity, np.ones((9, 9), np.uint8)) - cavity) > 0
    inner = cv2.erode(cavity, np.ones((5, 5), np.uint8)) > 0
    lit = frame > 2
    detail = frame.astype(np.float32) - cv2.GaussianBlur(frame.astype(np.float32), (0, 0), 3)
    across = np.corrcoef(detail[:, :-1][lit[:, 1:]], detail[:, 1:][lit[:, 1:]])[0, 1]
    down = np.corrcoef(detail[:-1][lit[1:]], detail[1:][lit[1:]])[0, 1]
    return {
        "share of the picture that is lit": lit.mean(),
        "share of the ventricle": cavity.mean(),
        "height of its apex": outline[:, 1].min(),
        "mean grey": frame.mean(),
        "grey of the brightest 5 %": np.percentile(frame[lit], 95),
        "cavity by wall": frame[inner].mean() / frame[ring].mean(),
        "grain across": across,
        "grain down": down,
    }


def test_the_real_picture_is_no_stranger_among_phantoms(cine, outlines):
    patients = [Patient(17, index) for index in range(60)]
    for phase, frame in (("es", 4), ("ed", 22)):
        phantoms = []
        for patient in patients:
            number = getattr(patient, phase)
            septal, lateral = patient.outline(number)
            phantoms.append(look(patient.frame(number), np.concatenate([septal[::-1], lateral])))
        population = pd.DataFrame(phantoms)
        rank = {name: (population[name] < value).mean() for name, value in look(cine[frame], outlines[frame]).items()}
        assert all(0.01 < share < 0.99 for share in rank.values()), f"{phase}: {rank}"


def test_the_tracings_beat_like_a_heart(outlines):
    area = {frame: float(contour_area(outline)) for frame, outline in outlines.items()}
    assert area[4] < area[27] < area[10] < area[22]
    assert 0.4 < area[4] / area[22] < 0.8
