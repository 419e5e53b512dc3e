"""The position of the heart in the scan plane, and of the scan plane in the image.

There are three coordinate systems: heart (xi, eta) in cm, scan plane (x to the right, z into the body) in cm, and image
(x, y) in pixels. The beams start on an arc, as those of a curved or phased probe do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from echoseg.phantom.anatomy import Array, Heart

SIZE = 112  # the image has SIZE × SIZE pixels, as in EchoNet-Dynamic
DEPTHS, BEAMS = 224, 144  # the polar grid
OVERSAMPLING = 2  # of scan conversion, followed by area averaging


@dataclass(frozen=True)
class View:
    """The scan plane of a patient; lengths in cm, angles in radians."""

    half_angle: float
    radius: float  # of the arc on which the beams start
    depth: float
    apex: tuple[float, float]  # the heart's apex in the scan plane
    tilt: float  # of the long axis; positive if the base is to the right of the apex
    rocking: tuple[float, float, float]  # shift (x, z) and rotation of the heart at end-systole
    scale: tuple[float, float]  # pixels per cm
    top: tuple[float, float]  # centre of the probe's surface, pixels

    def to_heart(self, x: Array, z: Array, contraction: float) -> tuple[Array, Array]:
        """Convert scan plane coordinates to heart coordinates; eta is relative to the straight long axis."""
        ax, az, cos, sin = self._pose(contraction)
        dx, dz = x - ax, z - az
        return dx * sin + dz * cos, dx * cos - dz * sin

    def from_heart(self, points: Array, contraction: float) -> Array:
        """Convert points in heart coordinates to the scan plane: (..., 2), cm."""
        ax, az, cos, sin = self._pose(contraction)
        xi, eta = points[..., 0], points[..., 1]
        return np.stack([ax + xi * sin + eta * cos, az + xi * cos - eta * sin], axis=-1)

    def to_image(self, points: Array) -> Array:
        """Convert points in the scan plane, (..., 2), cm, to the image, (..., 2), pixels."""
        return points * np.asarray(self.scale) + np.asarray(self.top)

    def to_grid(self, points: Array) -> Array:
        """Convert points in the scan plane, (..., 2), cm, to beam and depth on the polar grid, (..., 2)."""
        x, z = points[..., 0], points[..., 1] + self.radius
        beam = (np.arctan2(x, z) / self.half_angle + 1.0) * 0.5 * (BEAMS - 1)
        return np.stack([beam, (np.hypot(x, z) - self.radius) / self.depth * (DEPTHS - 1)], axis=-1)

    def _pose(self, contraction: float) -> tuple[float, float, np.float32, np.float32]:
        tilt = self.tilt + self.rocking[2] * contraction
        ax, az = (self.apex[k] + self.rocking[k] * contraction for k in range(2))
        return ax, az, np.float32(np.cos(tilt)), np.float32(np.sin(tilt))

    @cached_property
    def polar(self) -> tuple[Array, Array]:
        """x and z of the polar grid, (DEPTHS, BEAMS) float32 each, cm."""
        range_ = np.linspace(0.0, self.depth, DEPTHS, dtype=np.float32)[:, None] + np.float32(self.radius)
        angle = np.linspace(-self.half_angle, self.half_angle, BEAMS, dtype=np.float32)[None, :]
        return range_ * np.sin(angle), range_ * np.cos(angle) - np.float32(self.radius)

    @cached_property
    def scan(self) -> tuple[Array, Array]:
        """Beam and depth of each oversampled pixel, (OVERSAMPLING * SIZE,) * 2 float32 each, for `cv2.remap`."""
        pixels = (np.arange(OVERSAMPLING * SIZE) + 0.5) / OVERSAMPLING - 0.5
        x = ((pixels - self.top[0]) / self.scale[0])[None, :]
        z = ((pixels - self.top[1]) / self.scale[1])[:, None]
        grid = self.to_grid(np.stack(np.broadcast_arrays(x, z), axis=-1))
        # without the margin of half a sample, which would blur the first and last beam into the black surroundings
        outside = ((grid < 0) | (grid > np.array([BEAMS - 1, DEPTHS - 1]))).any(axis=-1)
        grid[outside] = -10.0
        return grid[..., 0].astype(np.float32), grid[..., 1].astype(np.float32)


def draw_view(heart: Heart, rng: np.random.Generator) -> View:
    """Draw a random position of the probe, depth setting, and crop of the cine."""
    half_angle = np.deg2rad(rng.uniform(32.0, 46.0))
    radius = float(rng.uniform(0.2, 1.6))
    apex_depth = float(np.clip(rng.normal(2.9, 1.1), 0.9, 6.0))
    tilt = float(np.deg2rad(np.clip(rng.normal(5.0, 9.0), -18.0, 28.0)))
    heart_depth = apex_depth + (heart.length + rng.uniform(0.6, 1.1) * heart.atrium_length) * np.cos(tilt)
    depth = float(np.clip(heart_depth + rng.uniform(-0.5, 4.5), 9.0, 24.0))
    centre = float(np.clip(rng.normal(0.35, 0.8), -1.6, 2.2))  # of the ventricle, to the right of the central beam
    apex_x = centre - 0.45 * heart.length * np.sin(tilt)
    height = depth * rng.uniform(0.92, 1.12)
    stretch = rng.uniform(0.9, 1.1)
    if rng.random() < 0.15:  # a crop of the whole screen instead of the sector
        height *= rng.uniform(1.1, 1.4)
        stretch *= rng.uniform(0.75, 1.0)
    mirror = -1.0 if rng.random() < 0.1 else 1.0
    scale_y = SIZE / height
    margin = SIZE - depth * scale_y
    return View(
        half_angle=float(half_angle),
        radius=radius,
        depth=depth,
        apex=(float(apex_x), apex_depth),
        tilt=tilt,
        rocking=tuple(float(v) for v in rng.normal(0.0, [0.12, 0.12, 0.02])),  # type: ignore[arg-type]
        scale=(float(mirror * scale_y * stretch), float(scale_y)),
        top=(
            float((SIZE - 1) / 2 + rng.normal(0.0, 4.0)),
            float(max(margin, 0.0) * rng.uniform(0.1, 0.7) - rng.uniform(0, 2)),
        ),
    )
