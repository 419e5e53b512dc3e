"""Simulates an expert's tracing in the format of EchoNet-Dynamic: the long axis and twenty chords.

Experts agree on the endocardium to about a millimetre, and less at the apex and the annulus; their errors are smooth
along the border. The true contour is therefore displaced along its normals by a smooth random function, the apex is
moved along the contour, and the chords are computed from the displaced contour.
"""

from __future__ import annotations

import numpy as np

from echoseg.geometry.chords import cut_chords
from echoseg.phantom.anatomy import Array


def trace(septal: Array, lateral: Array, rng: np.random.Generator, jitter: float = 0.6) -> Array:
    """Simulate a tracing.

    Args:
        septal: (P, 2) float, pixels, the septal endocardium from apex to annulus.
        lateral: (P, 2) float, pixels, the lateral endocardium from the same apex to the annulus.
        rng: Generator for the expert's errors.
        jitter: Standard deviation of the errors, pixels; 0 traces without errors.

    Returns:
        (21, 4) float32, pixels: x1, y1, x2, y2 of the long axis from apex to annulus, followed by the chords from apex
        to base, each from the septal to the lateral wall.
    """
    contour = np.concatenate([septal[::-1], lateral[1:]])
    contour = contour + jitter * _smooth_error(contour, rng)
    apex_index = len(septal) - 1 + int(np.rint(jitter * rng.normal(0.0, 2.0)))
    apex, base = contour[apex_index], 0.5 * (contour[0] + contour[-1])
    chords = cut_chords(contour, np.stack([apex, base]))
    (axis_x, axis_y), (x, y) = base - apex, lateral[-1] - septal[-1]
    if x * axis_y < y * axis_x:  # a mirrored view
        chords[1:] = chords[1:, [2, 3, 0, 1]]
    return chords


def _smooth_error(contour: Array, rng: np.random.Generator) -> Array:
    """(P, 2) float64: smooth displacements along the normals with unit variance, including a constant bias."""
    tangent = np.gradient(contour, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=-1)
    normal /= np.maximum(np.hypot(normal[:, 0], normal[:, 1]), 1e-9)[:, None]
    s = np.linspace(0.0, 1.0, len(contour))
    waves = np.arange(1, 6)
    weights = rng.normal(0.0, 1.0, (2, len(waves))) / np.sqrt(waves)
    error = np.cos(np.pi * np.outer(s, waves)) @ weights[0] + np.sin(np.pi * np.outer(s, waves)) @ weights[1]
    error /= np.sqrt(np.sum(1.0 / waves))
    return (0.8 * error + 0.6 * rng.standard_normal())[:, None] * normal
