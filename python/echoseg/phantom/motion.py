"""Where the tissue seen at one moment lies at end-diastole, so that echoes and speckle travel with the muscle.

The heart is painted once, at end-diastole. At any other moment each point is led back to it: along the axis by a
piecewise linear map whose knots are the apex, the annulus and the roof of the atrium, across it by one whose knots are
endocardium, epicardium and the outer border of the right heart. Muscle keeps its volume, so walls thicken in systole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echoseg.phantom.anatomy import LATERAL, SEPTAL, Array, Heart, State

PITCH = 0.08  # cm, of the reference grid
XI_MIN, XI_MAX = -6.0, 18.0
ETA_MIN, ETA_MAX = -9.5, 8.0
ROWS, COLUMNS = round((XI_MAX - XI_MIN) / PITCH) + 1, round((ETA_MAX - ETA_MIN) / PITCH) + 1
_FAR = 3.0  # cm beyond the outer border where tissue stands still
_TINY = 1e-3


@dataclass(frozen=True)
class Borders:
    """Half-widths by side and reference row, (2, ROWS), cm: cavity, its wall's outside, the right heart's outside."""

    cavity: Array
    wall: Array
    outer: Array


def reference_rows() -> Array:
    """(ROWS,) float64: xi of the rows of the reference grid."""
    return XI_MIN + PITCH * np.arange(ROWS)


def reference_borders(heart: Heart) -> Borders:
    """The borders at end-diastole."""
    xi, state = reference_rows(), heart.state(0.0)
    cavity = np.stack([heart.half_width(state, side, xi) for side in (SEPTAL, LATERAL)])
    wall = np.stack([_epicardium(heart, state, side, xi, cavity[side]) for side in (SEPTAL, LATERAL)])
    outer = wall + np.stack([_right_heart(heart, xi), np.full(ROWS, _FAR)])
    return Borders(cavity, wall, outer)


def _epicardium(heart: Heart, state: State, side: int, xi: Array, cavity: Array) -> Array:
    muscle = heart.walls[side]
    u = np.clip((xi + heart.apex_thickness) / (heart.length + heart.apex_thickness), 0.0, 1.0)
    first, second = muscle.basis(u, 0.0)
    thick = muscle.thickness
    ventricle = (state.width + thick / muscle.share) * first + (state.annulus + 0.9 * thick) * second
    rest = heart.atrium_wall if side == LATERAL else 0.22
    atrial = rest + (0.9 * thick - rest) * np.exp(-np.clip(xi - heart.length, 0.0, None) / 0.4)
    atrium = np.where(xi < heart.roof + 0.25, cavity + atrial, 0.0)
    return np.where(xi <= heart.length, np.maximum(ventricle, cavity + 0.3 * thick * (xi > 0)), atrium)


def _right_heart(heart: Heart, xi: Array) -> Array:
    start, valve = heart.right_apex * heart.length, heart.length - 0.5
    s = np.clip((xi - start) / (valve - start), 0.0, 1.0)
    ventricle = heart.right_width * s**0.7 * (1.0 - 0.15 * s**6)
    v = np.clip((xi - valve) / (0.97 * heart.roof - valve), 0.0, 1.0)
    swell = np.minimum(v / 0.4, 1.0) ** 2
    atrium = (0.85 * heart.right_width * (1.0 - swell) + heart.right_atrium_width * swell) * (1.0 - v**3) ** (1 / 3)
    return np.where(xi <= valve, ventricle, atrium)


def moved_borders(heart: Heart, state: State, rest: Borders) -> Borders:
    """The borders at ``state``, by the rows that they have at end-diastole."""
    xi = _piecewise(reference_rows(), _axis_knots(heart, heart.state(0.0)), _axis_knots(heart, state))
    cavity = np.stack([heart.half_width(state, side, xi) for side in (SEPTAL, LATERAL)])
    stretch = np.where(reference_rows() <= heart.length, heart.length / state.length, 1.0)
    wall = np.sqrt(cavity**2 + np.maximum(rest.wall**2 - rest.cavity**2, 0.0) * stretch)
    outer = rest.outer.copy()
    ventricular = reference_rows() <= heart.length
    shrink = np.where(ventricular, 0.28, -0.05) * state.contraction
    outer[SEPTAL] = wall[SEPTAL] + (rest.outer - rest.wall)[SEPTAL] * (1.0 - shrink)
    outer[LATERAL] = np.maximum(rest.outer[LATERAL], wall[LATERAL] + 0.5)
    return Borders(cavity, wall, outer)


def to_reference(heart: Heart, state: State, rest: Borders, xi: Array, eta: Array) -> tuple[Array, Array]:
    """Lead points back to end-diastole.

    Args:
        heart: The patient.
        state: The moment.
        rest: ``reference_borders(heart)``.
        xi: float32 of any shape, cm.
        eta: float32 of the same shape, cm, the bow of the axis taken out.

    Returns:
        (column, row) on the reference grid, float32, ready for ``cv2.remap``.
    """
    row = (_piecewise(xi, _axis_knots(heart, state), _axis_knots(heart, heart.state(0.0))) - XI_MIN) / PITCH
    now = moved_borders(heart, state, rest)
    index = np.clip(row, 0, ROWS - 1).astype(np.int32)
    index += (eta >= 0) * np.int32(ROWS)

    distance = np.abs(eta)
    table = _lateral_table(now, rest)
    back = np.zeros_like(distance)
    for k in range(3):
        start, width, slope = (table[k, j].take(index) for j in range(3))
        back += np.clip(distance - start, 0.0, width) * slope
    end, shift = table[2, 0] + table[2, 1], rest.outer.ravel().astype(np.float32)
    back = np.where(distance < end.take(index), back, distance - end.take(index) + shift.take(index))
    column = (np.copysign(back, eta) - ETA_MIN) / PITCH
    return column.astype(np.float32), row.astype(np.float32)


def _lateral_table(now: Borders, rest: Borders) -> Array:
    """(3, 3, 2 * ROWS) float32: start, width and slope of each piece from the axis outwards."""
    moved = np.stack([np.zeros_like(now.cavity), now.cavity, now.wall, now.outer]).reshape(4, -1)
    still = np.stack([np.zeros_like(rest.cavity), rest.cavity, rest.wall, rest.outer]).reshape(4, -1)
    width = np.maximum(np.diff(moved, axis=0), _TINY)
    start = np.concatenate([np.zeros_like(width[:1]), np.cumsum(width, axis=0)[:-1]])
    return np.stack([start, width, np.diff(still, axis=0) / width], axis=1).astype(np.float32)


def _axis_knots(heart: Heart, state: State) -> Array:
    return np.array([-100.0, -heart.apex_thickness, state.apex, state.base, heart.roof, 100.0])


def _piecewise(x: Array, knots: Array, images: Array) -> Array:
    # A sum of clipped pieces: several times faster than np.interp on whole frames.
    slopes = np.diff(images) / np.diff(knots)
    result = np.full_like(x, images[0])
    for start, width, slope in zip(knots[:-1].tolist(), np.diff(knots).tolist(), slopes.tolist(), strict=True):
        result += np.clip(x - start, 0.0, width) * slope
    return result
