"""What a person would have drawn: the long axis and twenty chords across it, in the format of EchoNet-Dynamic.

People agree on the outline to about a millimetre and less at the apex and at the annulus; their errors are smooth along
the border. So the true outline is moved along its normals by a smooth random amount, the two ends of the axis are moved
too, and the chords are cut anew across the new axis, at the middles of twenty slices, as EchoNet-Dynamic has them.
"""

from __future__ import annotations

import numpy as np

from echoseg.geometry.chords import cut_chords
from echoseg.phantom.anatomy import Array


def trace(septal: Array, lateral: Array, rng: np.random.Generator, jitter: float = 0.6) -> Array:
    """Trace an outline as an observer does.

    Args:
        septal: (P, 2), pixels, apex to annulus.
        lateral: (P, 2), pixels, apex to annulus, the same apex.
        rng: The observer's chance.
        jitter: Standard deviation of the border's error, pixels; 0 traces the truth.

    Returns:
        (21, 4) float32, pixels: x1, y1, x2, y2 of the long axis from apex to annulus, then of the chords from
        apex to base, from the septal to the lateral wall.
    """
    outline = np.concatenate([septal[::-1], lateral[1:]])
    outline = outline + jitter * _smooth_error(outline, rng)
    apex = len(septal) - 1
    # The apex is where observers differ most: they slide it along the outline.
    slid = apex + int(np.rint(jitter * rng.normal(0.0, 2.0)))
    top, bottom = outline[slid], 0.5 * (outline[0] + outline[-1])
    chords = cut_chords(outline, np.stack([top, bottom]))
    (down_x, down_y), (x, y) = bottom - top, lateral[-1] - septal[-1]
    if x * down_y < y * down_x:  # a mirrored view
        chords[1:] = chords[1:, [2, 3, 0, 1]]
    return chords


def _smooth_error(outline: Array, rng: np.random.Generator) -> Array:
    """(P, 2): a unit-variance smooth error along the outline's normals, plus a bias of the observer."""
    tangent = np.gradient(outline, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=-1)
    normal /= np.maximum(np.hypot(normal[:, 0], normal[:, 1]), 1e-9)[:, None]
    s = np.linspace(0.0, 1.0, len(outline))
    waves = np.arange(1, 6)
    weights = rng.normal(0.0, 1.0, (2, len(waves))) / np.sqrt(waves)
    error = np.cos(np.pi * np.outer(s, waves)) @ weights[0] + np.sin(np.pi * np.outer(s, waves)) @ weights[1]
    error /= np.sqrt(np.sum(1.0 / waves))
    return (0.8 * error + 0.6 * rng.standard_normal())[:, None] * normal
