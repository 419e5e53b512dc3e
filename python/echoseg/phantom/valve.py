"""The mitral valve: two leaflets that are closed in systole, bent towards the ventricle, and open towards its walls."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from echoseg.phantom.anatomy import Array, Heart, State
from echoseg.phantom.tissue import db_to_amplitude
from echoseg.phantom.view import BEAMS, DEPTHS, View


@dataclass(frozen=True)
class Valve:
    """The septal (anterior) and the lateral (posterior) leaflet."""

    lengths: tuple[float, float]  # relative to the width of the annulus
    tenting: float  # radians between the annulus and a closed leaflet
    opening_angle: float  # radians
    curvature: float  # displacement of the middle of a leaflet, relative to its length
    levels: tuple[float, float]  # dB
    thickness: int
    visible: tuple[tuple[float, float], tuple[float, float]]  # start and end of the visible part of each leaflet


def draw_valve(rng: np.random.Generator) -> Valve:
    """Draw a random valve; one in four leaflets is barely visible."""
    share = rng.uniform(0.55, 0.72)
    levels = tuple(float(rng.uniform(-4.0, 8.0) - (14.0 if rng.random() < 0.25 else 0.0)) for _ in range(2))
    return Valve(
        lengths=(float(share), float(1.06 - share)),
        tenting=float(np.deg2rad(rng.uniform(2.0, 30.0))),
        opening_angle=float(np.deg2rad(rng.uniform(45.0, 85.0))),
        curvature=float(rng.uniform(-0.05, 0.22)),
        levels=levels,  # type: ignore[arg-type]
        thickness=int(rng.integers(1, 4)),
        visible=tuple((float(rng.uniform(0.0, 0.25)), float(rng.uniform(0.7, 1.0))) for _ in range(2)),  # type: ignore[arg-type]
    )


def draw_leaflets(valve: Valve, heart: Heart, state: State, opening: float, view: View) -> Array:
    """The amplitude of the leaflets on the polar grid: (DEPTHS, BEAMS) float32, 0 elsewhere."""
    amplitude = np.zeros((DEPTHS, BEAMS), np.float32)
    for k, sign in ((0, -1.0), (1, 1.0)):
        hinge = np.array([state.base, heart.bow(np.array(state.base)) + sign * state.annulus])
        length = 2.0 * state.annulus * valve.lengths[k]
        # angle between annulus and leaflet; above 90 degrees the leaflet lies against the wall
        angle = valve.tenting + opening * valve.opening_angle
        tangent = np.array([-np.sin(angle), -sign * np.cos(angle)])
        normal = np.array([-np.cos(angle), sign * np.sin(angle)])
        t = np.linspace(*valve.visible[k], 9)[:, None]
        line = hinge + length * (t * tangent + valve.curvature * 4.0 * t * (1.0 - t) * normal)
        grid = view.to_grid(view.from_heart(line, state.contraction))
        leaflet = np.zeros((DEPTHS, BEAMS), np.uint8)
        fixed_point = np.rint(np.clip(grid, -1000, 1000) * 16).astype(np.int32)
        cv2.polylines(leaflet, [fixed_point], False, 255, valve.thickness, cv2.LINE_AA, 4)
        np.maximum(amplitude, leaflet * np.float32(db_to_amplitude(valve.levels[k]) / 255.0), out=amplitude)
    return amplitude
