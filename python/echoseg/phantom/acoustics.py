"""Simulates the image of scatterers: point spread function, envelope, log compression, scan conversion.

The echo is the convolution of random scatterers with the point spread function of the scanner (Bamber and
Dickinson, "Ultrasonic B-scanning: a computer simulation", Phys. Med. Biol. 25, 1980). With many scatterers in a
resolution cell the complex echo is Gaussian and its envelope Rayleigh distributed, mean over standard deviation 1.91:
fully developed speckle (Wagner et al., "Statistics of speckle in ultrasound B-scans", IEEE Trans. Sonics Ultrason. 30,
1983).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from echoseg.phantom.anatomy import Array
from echoseg.phantom.motion import COLUMNS, ROWS
from echoseg.phantom.tissue import db_to_amplitude, smooth_noise
from echoseg.phantom.view import BEAMS, DEPTHS, SIZE, View


@dataclass(frozen=True)
class Machine:
    """The scanner settings of a patient; maps are (DEPTHS, BEAMS) float32 unless noted otherwise."""

    axial: Array  # kernel
    near: Array  # lateral kernel of shallow echoes
    far: Array  # lateral kernel of deep echoes
    shares: tuple[Array, Array]  # (DEPTHS, 1, 1) each: weights of the two lateral kernels, for constant power
    side_lobe: float
    side_lobe_width: int
    gain: Array  # amplitude: shadows, poor contact, time gain compensation
    haze: Array  # amplitude of the reverberation, which does not move
    noise: Array  # (DEPTHS, 1): amplitude of the receiver noise
    texture: Array  # (DEPTHS, BEAMS, 2): scatterers of the haze
    compound: tuple[float, float]  # lateral and axial smoothing of the envelope, samples
    level: float  # of white relative to myocardium, dB
    dynamic_range: float  # dB
    gamma: float
    smoothing: float  # of the image, in oversampled pixels
    white: float  # grey level of the brightest echo
    black: float  # grey level of the darkest echo
    quality: int  # of the JPEG compression


def draw_machine(view: View, rng: np.random.Generator) -> Machine:
    """Draw a random transducer, settings and acoustic window."""
    axial = _gaussian(rng.uniform(0.7, 1.5))
    near_width = rng.uniform(0.8, 1.8)
    near, far = _gaussian(near_width), _gaussian(near_width * rng.uniform(1.2, 3.2))
    mix = np.clip(np.linspace(rng.uniform(-0.8, 0.2), rng.uniform(0.8, 1.6), DEPTHS, dtype=np.float32), 0.0, 1.0)[
        :, None
    ]
    depth_cm = np.linspace(0.0, view.depth, DEPTHS, dtype=np.float32)[:, None]
    dynamic_range = float(rng.uniform(35.0, 62.0))
    noise_floor = (
        float(np.clip(rng.normal(-48.0, 8.0), -65.0, -28.0)) + rng.uniform(0.0, 12.0) * (depth_cm / view.depth) ** 2
    )
    power = _mix_power(near, far, mix)[..., None]
    return Machine(
        axial=axial,
        near=near,
        far=far,
        shares=((1.0 - mix)[..., None] / power, mix[..., None] / power),
        side_lobe=float(db_to_amplitude(rng.uniform(-40.0, -20.0))),
        side_lobe_width=int(rng.integers(10, 36)) * 2 + 1,
        gain=_gain(depth_cm, view, rng),
        haze=_haze(depth_cm, rng),
        noise=db_to_amplitude(noise_floor),
        texture=rng.standard_normal((DEPTHS, BEAMS, 2), dtype=np.float32),
        compound=(float(rng.uniform(0.3, 1.6)), float(rng.uniform(0.3, 1.0))),
        level=float((1.0 - rng.uniform(0.3, 0.9)) * dynamic_range),
        dynamic_range=dynamic_range,
        gamma=float(np.exp(rng.normal(0.15, 0.3))),
        smoothing=float(rng.uniform(0.3, 1.3)),
        white=float(np.clip(rng.normal(225.0, 55.0), 90.0, 255.0)),
        black=float(max(rng.normal(0.0, 3.0), 0.0)),
        quality=int(rng.integers(70, 98)),
    )


def _gaussian(sigma: float) -> Array:
    """A Gaussian kernel of unit power, so that filtering preserves the power of white noise."""
    kernel = cv2.getGaussianKernel(2 * int(np.ceil(2.5 * sigma)) + 1, sigma, cv2.CV_32F).ravel()
    return kernel / np.sqrt(np.sum(kernel**2))


def _mix_power(near: Array, far: Array, mix: Array) -> Array:
    """The amplitude of white noise after filtering by a weighted sum of the two lateral kernels."""
    pad = (len(far) - len(near)) // 2
    overlap = float(np.sum(np.pad(near, pad) * far))
    return np.sqrt((1.0 - mix) ** 2 + mix**2 + 2.0 * mix * (1.0 - mix) * overlap)


def _gain(depth_cm: Array, view: View, rng: np.random.Generator) -> Array:
    across = np.linspace(-1.0, 1.0, BEAMS, dtype=np.float32)[None, :]
    level = smooth_noise(rng, (DEPTHS, 1), (5, 1)) * rng.uniform(1.0, 4.0)
    level = level + rng.uniform(-0.5, 0.2) * depth_cm
    # poor contact or ribs at the edges of the probe weaken the outer beams, increasingly with depth
    for sign in (-1.0, 1.0):
        edge = np.clip((sign * across - rng.uniform(0.35, 1.0)) / rng.uniform(0.15, 0.6), 0.0, 1.0)
        level = level - edge * rng.uniform(2.0, 28.0) * np.clip(depth_cm / rng.uniform(1.0, 8.0), 0.0, 1.0)
    for _ in range(rng.integers(0, 4)):  # narrow shadows
        width = rng.uniform(0.03, 0.16)
        shadow = np.exp(-0.5 * ((across - rng.uniform(-0.9, 0.9)) / width) ** 2)
        level = level - shadow * rng.uniform(3.0, 14.0) * np.clip((depth_cm - rng.uniform(0.0, 4.0)) / 2.0, 0.0, 1.0)
    level = level + smooth_noise(rng, (1, BEAMS), (1, 12)) * rng.uniform(0.0, 2.5)
    for _ in range(rng.integers(0, 4)):  # dropouts
        at, size = rng.uniform([-0.8, 0.1], [0.8, 0.9]), rng.uniform([0.08, 0.06], [0.3, 0.25])
        patch = ((across - at[0]) / size[0]) ** 2 + ((depth_cm / view.depth - at[1]) / size[1]) ** 2
        level = level - rng.uniform(3.0, 16.0) * np.exp(-patch)
    return db_to_amplitude(level)


def _haze(depth_cm: Array, rng: np.random.Generator) -> Array:
    """Reverberation: bright at the probe, bands below it, haze over the apex, and clutter."""
    level = np.maximum(rng.uniform(2.0, 16.0) - depth_cm / rng.uniform(0.06, 0.2), -80.0)
    amplitude = db_to_amplitude(level) + db_to_amplitude(rng.uniform(-24.0, -3.0)) * np.exp(
        -depth_cm / rng.uniform(0.8, 4.5)
    )
    for k in range(1, int(rng.integers(1, 5))):
        band = np.exp(-0.5 * ((depth_cm - k * rng.uniform(0.5, 1.2)) / rng.uniform(0.05, 0.15)) ** 2)
        amplitude = amplitude + band * db_to_amplitude(rng.uniform(-16.0, 2.0))
    patchy = db_to_amplitude(smooth_noise(rng, (DEPTHS, BEAMS), (8, 6)) * rng.uniform(1.0, 4.0))
    clutter = db_to_amplitude(
        smooth_noise(rng, (DEPTHS, BEAMS), (4, 4)) * rng.uniform(2.0, 7.0) + rng.uniform(-56.0, -28.0)
    )
    return amplitude * patchy + clutter


def draw_scatterers(rng: np.random.Generator) -> Array:
    """(ROWS, COLUMNS, 4) float32: two complex Gaussian textures on the reference grid, with unit variance."""
    return rng.standard_normal((ROWS, COLUMNS, 4), dtype=np.float32)


def sample_amplitude(amplitude: Array, column: Array, row: Array) -> Array:
    """The amplitude at positions on the reference grid: (DEPTHS, BEAMS) float32."""
    return cv2.remap(amplitude, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def sample_scatterers(scatterers: Array, column: Array, row: Array, angle: float) -> Array:
    """The scatterers at positions on the reference grid.

    The nearest scatterer is used, since interpolation would not preserve white noise.

    Args:
        scatterers: The result of `draw_scatterers`.
        column: (DEPTHS, BEAMS) float32, positions on the reference grid.
        row: (DEPTHS, BEAMS) float32, positions on the reference grid.
        angle: Mixture of the two textures, radians; it simulates scatterers that leave the scan plane.

    Returns:
        (DEPTHS, BEAMS, 2) float32.
    """
    sampled = cv2.remap(scatterers, column, row, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT)
    return sampled[..., :2] * np.float32(np.cos(angle)) + sampled[..., 2:] * np.float32(np.sin(angle))


def echo(machine: Machine, tissue: Array, rng: np.random.Generator) -> Array:
    """Simulate the envelope of the echo.

    Args:
        machine: The scanner settings.
        tissue: (DEPTHS, BEAMS, 2) float32, the complex scatter of the tissue.
        rng: Generator of the receiver noise.

    Returns:
        (DEPTHS, BEAMS) float32.
    """
    field = tissue * machine.gain[..., None]
    field += machine.texture * machine.haze[..., None]
    field += rng.standard_normal(field.shape, dtype=np.float32) * machine.noise[..., None]
    axial = cv2.sepFilter2D(field, -1, np.ones(1, np.float32), machine.axial)
    near = cv2.sepFilter2D(axial, -1, machine.near, np.ones(1, np.float32))
    far = cv2.sepFilter2D(axial, -1, machine.far, np.ones(1, np.float32))
    lobes = cv2.blur(axial, (machine.side_lobe_width, 1)) * np.float32(machine.side_lobe * machine.side_lobe_width**0.5)
    total = near * machine.shares[0] + far * machine.shares[1] + lobes
    return cv2.magnitude(total[..., 0], total[..., 1])


def display(machine: Machine, view: View, envelope: Array) -> Array:
    """Apply log compression, grey map, scan conversion and area averaging.

    Args:
        machine: The scanner settings.
        view: The scan plane.
        envelope: (DEPTHS, BEAMS) float32.

    Returns:
        (SIZE, SIZE) uint8.
    """
    envelope = cv2.GaussianBlur(envelope, (0, 0), sigmaX=machine.compound[0], sigmaY=machine.compound[1])
    level = cv2.log(envelope + 1e-6) * np.float32(20.0 / np.log(10.0))
    grey = np.clip(1.0 + (level - machine.level) / machine.dynamic_range, 0.0, 1.0)
    grey = cv2.pow(grey, machine.gamma) * (machine.white - machine.black) + machine.black
    fine = cv2.remap(grey, *view.scan, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    fine = cv2.GaussianBlur(fine, (0, 0), machine.smoothing)
    image = cv2.resize(fine, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
