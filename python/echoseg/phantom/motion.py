"""Maps tissue at any phase to its position at end-diastole, so that echoes and speckle move with the myocardium.

The tissue is defined once, at end-diastole. At any other phase each point is mapped to end-diastole by two piecewise
linear functions. The knots along the long axis are the apex, the annulus and the roof of the atrium. The knots across
it are the endocardium, the epicardium and the outer border of the right heart. The volume of the myocardium is
constant, so walls thicken in systole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echoseg.phantom.anatomy import LATERAL, SEPTAL, Array, Heart, State

PITCH = 0.08  # cm, of the reference grid
XI_MIN, XI_MAX = -6.0, 18.0
ETA_MIN, ETA_MAX = -9.5, 8.0
ROWS, COLUMNS = round((XI_MAX - XI_MIN) / PITCH) + 1, round((ETA_MAX - ETA_MIN) / PITCH) + 1
_OUTER_MARGIN = 3.0  # cm from the lateral wall to the tissue that does not move
_EPSILON = 1e-3


@dataclass(frozen=True)
class Borders:
    """Distances of the borders from the long axis, by side and reference row.

    Attributes:
        cavity: (2, ROWS) float64, cm, the endocardium.
        wall: (2, ROWS) float64, cm, the epicardium.
        outer: (2, ROWS) float64, cm, the outer border of the right heart, or of moving tissue on the lateral side.
    """

    cavity: Array
    wall: Array
    outer: Array


def reference_rows() -> Array:
    """(ROWS,) float64, xi of the rows of the reference grid, cm."""
    return XI_MIN + PITCH * np.arange(ROWS)


def reference_borders(heart: Heart) -> Borders:
    """The borders at end-diastole."""
    xi, state = reference_rows(), heart.state(0.0)
    cavity = np.stack([heart.half_width(state, side, xi) for side in (SEPTAL, LATERAL)])
    wall = np.stack([_epicardium(heart, state, side, xi, cavity[side]) for side in (SEPTAL, LATERAL)])
    outer = wall + np.stack([_right_heart(heart, xi), np.full(ROWS, _OUTER_MARGIN)])
    return Borders(cavity, wall, outer)


def _epicardium(heart: Heart, state: State, side: int, xi: Array, cavity: Array) -> Array:
    muscle = heart.walls[side]
    u = np.clip((xi + heart.apex_thickness) / (heart.length + heart.apex_thickness), 0.0, 1.0)
    first, second = muscle.basis(u, 0.0)
    thickness = muscle.thickness
    ventricle = (state.width + thickness / muscle.share) * first + (state.annulus + 0.9 * thickness) * second
    atrial_wall = heart.atrium_wall if side == LATERAL else 0.22
    atrial = atrial_wall + (0.9 * thickness - atrial_wall) * np.exp(-np.clip(xi - heart.length, 0.0, None) / 0.4)
    atrium = np.where(xi < heart.roof + 0.25, cavity + atrial, 0.0)
    return np.where(xi <= heart.length, np.maximum(ventricle, cavity + 0.3 * thickness * (xi > 0)), atrium)


def _right_heart(heart: Heart, xi: Array) -> Array:
    start, valve = heart.right_apex * heart.length, heart.length - 0.5
    s = np.clip((xi - start) / (valve - start), 0.0, 1.0)
    ventricle = heart.right_width * s**0.7 * (1.0 - 0.15 * s**6)
    v = np.clip((xi - valve) / (0.97 * heart.roof - valve), 0.0, 1.0)
    weight = np.minimum(v / 0.4, 1.0) ** 2
    atrium = (0.85 * heart.right_width * (1.0 - weight) + heart.right_atrium_width * weight) * (1.0 - v**3) ** (1 / 3)
    return np.where(xi <= valve, ventricle, atrium)


def moved_borders(heart: Heart, state: State, reference: Borders) -> Borders:
    """The borders at a state of the heart, by row of the reference grid.

    Args:
        heart: The patient.
        state: The state.
        reference: The result of `reference_borders`.
    """
    xi = _piecewise(reference_rows(), _axis_knots(heart, heart.state(0.0)), _axis_knots(heart, state))
    cavity = np.stack([heart.half_width(state, side, xi) for side in (SEPTAL, LATERAL)])
    stretch = np.where(reference_rows() <= heart.length, heart.length / state.length, 1.0)
    wall = np.sqrt(cavity**2 + np.maximum(reference.wall**2 - reference.cavity**2, 0.0) * stretch)
    outer = reference.outer.copy()
    ventricular = reference_rows() <= heart.length
    contraction = np.where(ventricular, 0.28, -0.05) * state.contraction
    outer[SEPTAL] = wall[SEPTAL] + (reference.outer - reference.wall)[SEPTAL] * (1.0 - contraction)
    outer[LATERAL] = np.maximum(reference.outer[LATERAL], wall[LATERAL] + 0.5)
    return Borders(cavity, wall, outer)


def to_reference(heart: Heart, state: State, reference: Borders, xi: Array, eta: Array) -> tuple[Array, Array]:
    """Map points to the reference grid, that is, to end-diastole.

    Args:
        heart: The patient.
        state: The state in which the points are given.
        reference: The result of `reference_borders`.
        xi: float32 of any shape, cm.
        eta: float32 of the same shape, cm, relative to the bent long axis.

    Returns:
        column: float32 of the same shape, for `cv2.remap`.
        row: float32 of the same shape, for `cv2.remap`.
    """
    row = (_piecewise(xi, _axis_knots(heart, state), _axis_knots(heart, heart.state(0.0))) - XI_MIN) / PITCH
    current = moved_borders(heart, state, reference)
    index = np.clip(row, 0, ROWS - 1).astype(np.int32)
    index += (eta >= 0) * np.int32(ROWS)

    distance = np.abs(eta)
    table = _lateral_table(current, reference)
    mapped = np.zeros_like(distance)
    for k in range(3):
        start, width, slope = (table[k, j].take(index) for j in range(3))
        mapped += np.clip(distance - start, 0.0, width) * slope
    end, shift = table[2, 0] + table[2, 1], reference.outer.ravel().astype(np.float32)
    mapped = np.where(distance < end.take(index), mapped, distance - end.take(index) + shift.take(index))
    column = (np.copysign(mapped, eta) - ETA_MIN) / PITCH
    return column.astype(np.float32), row.astype(np.float32)


def _lateral_table(current: Borders, reference: Borders) -> Array:
    """(3, 3, 2 * ROWS) float32: start, width and slope of each linear piece, from the long axis outwards."""
    knots, images = (
        np.stack([np.zeros_like(borders.cavity), borders.cavity, borders.wall, borders.outer]).reshape(4, -1)
        for borders in (current, reference)
    )
    width = np.maximum(np.diff(knots, axis=0), _EPSILON)
    start = np.concatenate([np.zeros_like(width[:1]), np.cumsum(width, axis=0)[:-1]])
    return np.stack([start, width, np.diff(images, axis=0) / width], axis=1).astype(np.float32)


def _axis_knots(heart: Heart, state: State) -> Array:
    return np.array([-100.0, -heart.apex_thickness, state.apex, state.base, heart.roof, 100.0])


def _piecewise(x: Array, knots: Array, images: Array) -> Array:
    # a sum of clipped pieces is several times faster than np.interp on whole frames
    slopes = np.diff(images) / np.diff(knots)
    result = np.full_like(x, images[0])
    for start, width, slope in zip(knots[:-1].tolist(), np.diff(knots).tolist(), slopes.tolist(), strict=True):
        result += np.clip(x - start, 0.0, width) * slope
    return result
