"""The scatterer amplitude of the tissue at end-diastole, on the reference grid of `motion`.

Amplitudes are relative to healthy myocardium. Borders are smooth and irregular. The myocardium is inhomogeneous and
weaker at the apex and the lateral wall. Borders perpendicular to the beam are bright (specular reflection). The
cavities are nearly anechoic.
"""

from __future__ import annotations

import cv2
import numpy as np

from echoseg.phantom.anatomy import LATERAL, SEPTAL, Array, Heart
from echoseg.phantom.motion import COLUMNS, ETA_MIN, PITCH, ROWS, XI_MIN, Borders, reference_rows


def db_to_amplitude(value: Array | float) -> Array:
    """The amplitude of a level in dB."""
    return np.exp(np.asarray(value, dtype=np.float32) * np.float32(np.log(10.0) / 20.0))


def smooth_noise(rng: np.random.Generator, size: tuple[int, int], cells: tuple[int, int]) -> Array:
    """(H, W) float32 noise of about unit variance, smooth over `H / cells[0]` by `W / cells[1]` pixels."""
    coarse = rng.standard_normal((cells[0] + 3, cells[1] + 3), dtype=np.float32)
    return cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)


def make_amplitude(heart: Heart, reference: Borders, probe: tuple[float, float], rng: np.random.Generator) -> Array:
    """Simulate the scatterer amplitude of a patient's tissue.

    Args:
        heart: The patient.
        reference: The result of `reference_borders`.
        probe: The position of the transducer, (xi, eta) in cm.
        rng: The patient's generator.

    Returns:
        (ROWS, COLUMNS) float32, relative to myocardium.
    """
    xi = reference_rows().astype(np.float32)[:, None]
    eta = (ETA_MIN + PITCH * np.arange(COLUMNS, dtype=np.float32))[None, :]
    rough = smooth_noise(rng, (ROWS, COLUMNS), (40, 30)) * np.float32(rng.uniform(0.03, 0.09))
    distance = np.abs(eta) + rough
    side = (eta >= 0).astype(np.int32)
    cavity, wall, outer = (_by_side(border, side) for border in (reference.cavity, reference.wall, reference.outer))

    amplitude = _surroundings(heart, reference, xi, distance, wall, side, rng)
    amplitude = _right_heart(amplitude, heart, xi, distance, wall, outer, side, rng)
    amplitude = _left_heart(amplitude, heart, xi, distance, cavity, wall, side, rng)
    _details(amplitude, heart, reference, xi, eta, rng)
    amplitude *= db_to_amplitude(smooth_noise(rng, (ROWS, COLUMNS), (14, 10)) * rng.uniform(1.5, 4.5))
    amplitude *= db_to_amplitude(smooth_noise(rng, (ROWS, COLUMNS), (60, 45)) * rng.uniform(0.5, 2.0))
    return _add_reflections(amplitude, xi, eta, probe, float(rng.uniform(0.0, 2.5)))


def _by_side(border: Array, side: Array) -> Array:
    left, right = border[SEPTAL][:, None].astype(np.float32), border[LATERAL][:, None].astype(np.float32)
    return np.where(side == SEPTAL, left, right)


def _inside(edge: Array | float, distance: Array, soft: float = 0.14) -> Array:
    return np.clip((edge - distance) / soft + 0.5, 0.0, 1.0)


def _blend(under: Array | float, over: Array | float, mask: Array) -> Array:
    return under + (over - under) * mask


def _surroundings(
    heart: Heart, reference: Borders, xi: Array, distance: Array, wall: Array, side: Array, rng: np.random.Generator
) -> Array:
    """Chest wall in front of the apex, lung beside the heart, the bright pericardium, and tissue behind the atria."""
    outside = np.where(side == LATERAL, distance - wall, distance - _by_side(reference.outer, side))
    lung = rng.uniform(-22.0, -6.0) - np.clip(outside, 0.0, None) * rng.uniform(1.0, 6.0)
    behind = rng.uniform(-10.0, 8.0) - np.clip(xi - heart.roof - rng.uniform(0.8, 3.0), 0.0, None) * rng.uniform(
        2.0, 8.0
    )
    before = float(rng.uniform(-14.0, -2.0))
    level = _blend(lung, behind, np.clip((xi - heart.roof + 0.8) / 1.2, 0.0, 1.0))
    level = _blend(level, before, np.clip((-heart.apex_thickness - xi) / 0.6 + 0.5, 0.0, 1.0))
    amplitude = db_to_amplitude(level)
    beside = (xi > 0) & (xi < heart.roof + 0.5) & (outside > -0.1)
    line = np.exp(-0.5 * ((outside - 0.12) / rng.uniform(0.08, 0.25)) ** 2) * beside
    amplitude = amplitude + line * db_to_amplitude(
        np.where(side == LATERAL, rng.uniform(-6.0, 9.0), rng.uniform(-14.0, 2.0))
    )
    # the pericardium at the apex is an arc perpendicular to the beams
    arc = (xi + heart.apex_thickness - distance**2 / rng.uniform(4.0, 9.0)) / rng.uniform(0.15, 0.4)
    return amplitude + np.exp(-0.5 * arc**2 - (distance / rng.uniform(1.5, 3.0)) ** 4) * db_to_amplitude(
        rng.uniform(-16.0, 8.0)
    )


def _right_heart(
    amplitude: Array,
    heart: Heart,
    xi: Array,
    distance: Array,
    wall: Array,
    outer: Array,
    side: Array,
    rng: np.random.Generator,
) -> Array:
    level = smooth_noise(rng, (ROWS, COLUMNS), (8, 6)) * 3.0 + rng.uniform(-24.0, 0.0)
    right = (side == SEPTAL) & (outer > wall + 0.05)
    amplitude = _blend(amplitude, db_to_amplitude(level), _inside(outer + rng.uniform(0.25, 0.5), distance) * right)
    below = np.clip((xi - heart.length) / 0.8 + 1.0, 0.0, 1.0)
    blood = db_to_amplitude(_blend(float(rng.uniform(-46.0, -14.0)), float(rng.uniform(-50.0, -18.0)), below))
    return _blend(amplitude, blood, _inside(outer, distance) * right)


def _left_heart(
    amplitude: Array,
    heart: Heart,
    xi: Array,
    distance: Array,
    cavity: Array,
    wall: Array,
    side: Array,
    rng: np.random.Generator,
) -> Array:
    ventricular = np.clip((heart.length - xi) / 0.5 + 0.5, 0.0, 1.0)
    septum, free = rng.uniform(-1.0, 6.0), rng.uniform(-6.0, 3.0)
    muscle = _blend(float(free), float(septum), np.clip(0.5 - 2.0 * (side - 0.5), 0.0, 1.0))
    atrial = np.where(side == SEPTAL, rng.uniform(-30.0, 0.0), rng.uniform(-14.0, 2.0))
    apical = np.clip(1.0 - xi / (0.35 * heart.length), 0.0, 1.0) * rng.uniform(-14.0, 2.0)
    level = _blend(atrial, muscle, ventricular) + apical
    body = (xi > -heart.apex_thickness) & (xi < heart.roof + 0.25)
    amplitude = _blend(amplitude, db_to_amplitude(level), _inside(wall, distance) * body)

    atrial_blood = rng.uniform(-50.0, -26.0) if rng.random() < 0.7 else rng.uniform(-26.0, -10.0)
    level = _blend(
        float(atrial_blood), float(rng.uniform(-50.0, -24.0)), np.clip((heart.length - xi) / 0.8 + 0.5, 0.0, 1.0)
    )
    blood = db_to_amplitude(level + smooth_noise(rng, (ROWS, COLUMNS), (6, 5)) * 3.0)
    # trabeculae near the apex, inside the border that experts trace
    depth = rng.uniform(0.0, 0.3) * np.clip(1.0 - xi / (0.7 * heart.length), 0.0, 1.0)
    trabeculae = db_to_amplitude(rng.uniform(-22.0, -6.0)) * _inside(depth, cavity - distance)
    inside = _inside(cavity, distance, rng.uniform(0.1, 0.45)) * (cavity > 0.02)
    return _blend(amplitude, blood + trabeculae, inside)


def _details(
    amplitude: Array, heart: Heart, reference: Borders, xi: Array, eta: Array, rng: np.random.Generator
) -> None:
    """Add small structures in place, along the walls of the left ventricle and in the right heart."""
    length, uniform = heart.length, rng.uniform

    def add(at: tuple[float, float], size: tuple[float, float], low: float, high: float) -> None:
        _blob(amplitude, xi, eta, at, size, uniform(low, high))

    annulus = float(reference.cavity[LATERAL][_row(length)])
    for sign in (-1.0, 1.0):  # the fibrous annulus; on the septal side the crux of the heart
        at = (length + uniform(-0.1, 0.6), sign * (annulus + uniform(0.1, 0.5)))
        add(at, (uniform(0.25, 0.9), uniform(0.15, 0.4)), -6.0, 7.0)
    if rng.random() < 0.65:  # papillary muscle, inside the border that experts trace
        xi_at = uniform(0.35, 0.62) * length
        at = (xi_at, float(reference.cavity[LATERAL][_row(xi_at)]) - uniform(0.1, 0.5))
        add(at, (uniform(0.5, 1.1), uniform(0.2, 0.4)), -10.0, 2.0)
    if rng.random() < 0.3:  # a septal trabecula
        xi_at = uniform(0.3, 0.6) * length
        add(
            (xi_at, uniform(0.0, 0.4) - float(reference.cavity[SEPTAL][_row(xi_at)])),
            (uniform(0.4, 0.9), 0.2),
            -12.0,
            0.0,
        )
    for _ in range(rng.integers(0, 4)):  # fat and pericardium perpendicular to the beam
        xi_at = uniform(0.0, 1.3) * length
        at = (xi_at, float(reference.wall[LATERAL][_row(xi_at)]) + uniform(0.0, 1.2))
        add(at, (uniform(0.1, 0.3), uniform(0.2, 0.5)), -10.0, 4.0)
    if rng.random() < 0.5:  # moderator band
        xi_at = uniform(0.4, 0.65) * length
        at = (xi_at, -float(reference.wall[SEPTAL][_row(xi_at)]) - uniform(0.6, 1.6))
        add(at, (0.3, uniform(0.4, 1.0)), -14.0, 0.0)
    if rng.random() < 0.6:  # tricuspid leaflets, as a short line
        hinge = -float(reference.wall[SEPTAL][_row(length - 0.5)])
        add((length - uniform(0.3, 1.2), hinge - uniform(0.4, 1.6)), (0.12, uniform(0.4, 0.9)), -12.0, 2.0)


def _row(xi: float) -> int:
    return int(np.clip(round((xi - XI_MIN) / PITCH), 0, ROWS - 1))


def _blob(
    amplitude: Array, xi: Array, eta: Array, at: tuple[float, float], size: tuple[float, float], level: float
) -> None:
    reach = 3.0
    rows = slice(_row(at[0] - reach * size[0]), _row(at[0] + reach * size[0]) + 1)
    across = (eta[0] > at[1] - reach * size[1]) & (eta[0] < at[1] + reach * size[1])
    if not across.any():
        return
    columns = slice(int(across.argmax()), COLUMNS - int(across[::-1].argmax()))
    distance = ((xi[rows] - at[0]) / size[0]) ** 2 + ((eta[:, columns] - at[1]) / size[1]) ** 2
    # the exponent 1.5 of the squared distance makes the blob homogeneous with a steep border
    amplitude[rows, columns] += db_to_amplitude(level) * np.exp(-0.7 * distance**1.5)


def _add_reflections(amplitude: Array, xi: Array, eta: Array, probe: tuple[float, float], strength: float) -> Array:
    """Add specular reflections: the derivative of the amplitude along the beam, over about 2 mm."""
    smooth = cv2.GaussianBlur(amplitude, (0, 0), 1.2)
    d_xi, d_eta = xi - probe[0], eta - probe[1]
    length = np.sqrt(d_xi * d_xi + d_eta * d_eta) + 1e-3
    derivative = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=0.125) * (d_xi / length)
    derivative += cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=0.125) * (d_eta / length)
    return amplitude + strength * np.abs(derivative)
