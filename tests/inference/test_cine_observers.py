"""Two readers' tracings of a public cine, against which predictions are measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from echoseg.metrics.overlap import dice
from echoseg.ops import fill_polygons

SIZE = (480, 640)


@pytest.fixture(scope="module")
def tracings():
    return json.loads(Path(__file__).with_name("cine_observers.json").read_text(encoding="utf-8"))


def test_both_readers_traced_the_same_frames_in_the_frame(tracings):
    assert list(tracings["A"]) == list(tracings["B"]) == [str(frame) for frame in range(4, 83, 6)]
    for reader in "AB":
        for points in map(np.array, tracings[reader].values()):
            assert points.shape[1] == 2
            assert ((points >= 0) & (points < SIZE[::-1])).all()
            hinges, apex = points[[0, -1]], points[points[:, 1].argmin()]
            assert hinges[:, 1].min() > apex[1] + 120, "the apex is at the top"
            assert hinges[0, 0] < hinges[1, 0], "from the septal to the lateral hinge"


def test_the_readers_agree(tracings):
    masks = [
        np.concatenate([fill_polygons(np.array([points], np.float32), SIZE) for points in tracings[reader].values()])
        for reader in "AB"
    ]
    scores = dice(*masks)
    assert scores.mean() == pytest.approx(0.955, abs=0.001)
    assert scores.min() > 0.92
