"""The colours of the review page."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from echoseg import review


def test_outlines_are_distinguishable_with_colour_blindness():
    """Colours differ by more than 35 in CIELAB, where 10 is seen at a glance.

    Severe colour vision deficiency is simulated by Machado et al., "A Physiologically-based Model for Simulation of
    Color Vision Deficiency", IEEE Transactions on Visualization and Computer Graphics 15, 2009.
    """
    skimage = pytest.importorskip("skimage.color")
    style = (Path(review.__file__).parent / "static" / "style.css").read_text()
    colours = [re.search(rf"--{name}: #(\w{{6}})", style)[1] for name in ("truth", "prediction", "correction")]
    srgb = np.array([[int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)] for colour in colours])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    for deficiency in (
        np.eye(3),
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ):
        light = (linear @ np.transpose(deficiency)).clip(0, 1)
        shown = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
        lab = skimage.rgb2lab(shown[None])[0]
        assert all(np.linalg.norm(a - b) > 35 for a, b in itertools.combinations(lab, 2))
