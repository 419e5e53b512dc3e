"""The mitral valve: two leaflets that close in systole, bowing towards the ventricle, and open to its walls."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from echoseg.phantom.anatomy import Array, Heart, State
from echoseg.phantom.tissue import decibel
from echoseg.phantom.view import BEAMS, DEPTHS, View


@dataclass(frozen=True)
class Valve:
    """Two leaflets, septal (anterior) and lateral (posterior)."""

    lengths: tuple[float, float]  # share of the annulus's full width
    tenting: float  # radians between the annulus and a closed leaflet
    sweep: float  # radians that it opens by
    curl: float  # bow of a leaflet, as a share of its length
    levels: tuple[float, float]  # dB
    thickness: int
    gaps: tuple[tuple[float, float], tuple[float, float]]  # the visible part of each leaflet


def draw_valve(rng: np.random.Generator) -> Valve:
    """Draw a valve; one leaflet in four is hardly seen."""
    share = rng.uniform(0.55, 0.72)
    levels = tuple(float(rng.uniform(-4.0, 8.0) - (14.0 if rng.random() < 0.25 else 0.0)) for _ in range(2))
    return Valve(
        lengths=(float(share), float(1.06 - share)),
        tenting=float(np.deg2rad(rng.uniform(2.0, 30.0))),
        sweep=float(np.deg2rad(rng.uniform(45.0, 85.0))),
        curl=float(rng.uniform(-0.05, 0.22)),
        levels=levels,  # type: ignore[arg-type]
        thickness=int(rng.integers(1, 4)),
        gaps=tuple((float(rng.uniform(0.0, 0.25)), float(rng.uniform(0.7, 1.0))) for _ in range(2)),  # type: ignore[arg-type]
    )


def draw_leaflets(valve: Valve, heart: Heart, state: State, opening: float, view: View) -> Array:
    """Amplitude of the leaflets on the polar grid, (DEPTHS, BEAMS) float32, 0 where there is none."""
    amplitude = np.zeros((DEPTHS, BEAMS), np.float32)
    for k, sign in ((0, -1.0), (1, 1.0)):
        hinge = np.array([state.base, heart.bow(np.array(state.base)) + sign * state.annulus])
        length = 2.0 * state.annulus * valve.lengths[k]
        # Angle from the annulus towards the apex; beyond a right angle it lies against the wall.
        angle = valve.tenting + opening * valve.sweep
        along = np.array([-np.sin(angle), -sign * np.cos(angle)])
        normal = np.array([-np.cos(angle), sign * np.sin(angle)])
        t = np.linspace(*valve.gaps[k], 9)[:, None]
        line = hinge + length * (t * along + valve.curl * 4.0 * t * (1.0 - t) * normal)
        grid = view.to_grid(view.from_heart(line, state.contraction))
        ink = np.zeros((DEPTHS, BEAMS), np.uint8)
        shifted = np.rint(np.clip(grid, -1000, 1000) * 16).astype(np.int32)
        cv2.polylines(ink, [shifted], False, 255, valve.thickness, cv2.LINE_AA, 4)
        np.maximum(amplitude, ink * np.float32(decibel(valve.levels[k]) / 255.0), out=amplitude)
    return amplitude
