"""A beating heart in the apical four-chamber plane, with known volumes.

Heart coordinates are in cm. `xi` is the position along the long axis of the left ventricle: 0 at the endocardial apex
at end-diastole, `length` at the centre of the mitral annulus, more in the atrium. `eta` is the position across it,
negative on the septal side, positive on the lateral side. The half-width of each side is a linear function of the
ventricle's width, so that the width for a given volume is the root of a quadratic equation.

Volumes are those of the single-plane method of discs, as in EchoNet-Dynamic (Ouyang et al., "Video-based AI for
beat-to-beat assessment of cardiac function", Nature 580, 2020). The distributions of volumes and EF are also those of
EchoNet-Dynamic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SEPTAL, LATERAL = 0, 1
_DISCS = 200  # the error of the volume is much less than 0.1 %


@dataclass(frozen=True)
class Cycle:
    """The time course of a beat; phases are relative to its duration, with end-diastole at 0."""

    systole: float  # phase of end-systole
    valve_delay: float  # of the valve relative to the volume
    early: float  # share of the stroke volume that remains to be filled after early filling
    early_end: float  # phase at the end of early filling
    atrial_start: float  # phase at the start of atrial filling

    def contraction(self, phase: Array | float) -> Array:
        """The contraction of the ventricle at a phase: 0 at end-diastole, 1 at end-systole."""
        plateau = self.systole + 0.05
        times = [0.0, self.systole, plateau, self.early_end, self.atrial_start, 1.0]
        values = [0.0, 1.0, 0.98, self.early, self.early * 0.92, 0.0]
        return _smooth_steps(np.mod(phase, 1.0), times, values)

    def opening(self, phase: Array | float) -> Array:
        """The opening of the mitral valve at a phase: 0 in systole, 1 at the peak of early filling."""
        opens = self.systole + 0.05
        peak = opens + 0.35 * (self.early_end - opens)
        times = [0.0, opens, peak, self.early_end, self.atrial_start, 0.5 * (self.atrial_start + 1.0), 1.0]
        return _smooth_steps(np.mod(phase - self.valve_delay, 1.0), times, [0.0, 0.0, 1.0, 0.35, 0.3, 0.75, 0.0])


def _smooth_steps(x: Array | float, times: list[float], values: list[float]) -> Array:
    t, v, x = np.asarray(times), np.asarray(values), np.asarray(x, dtype=np.float64)
    i = np.clip(np.searchsorted(t, x, side="right") - 1, 0, len(t) - 2)
    s = (x - t[i]) / (t[i + 1] - t[i])
    return v[i] + (v[i + 1] - v[i]) * s * s * (3.0 - 2.0 * s)


@dataclass(frozen=True)
class Wall:
    """The shape of one side of the ventricle."""

    share: float  # of the ventricle's width; the shares of both sides sum to 2
    widest: float  # position of the largest width, relative to the long axis
    apex_power: float  # 2 for an ellipse, less for a more pointed apex
    base_power: float
    ripple: tuple[float, ...]
    squeeze: float  # additional contraction at the apex
    thickness: float  # of the myocardium at end-diastole, cm

    def basis(self, u: Array, contraction: float) -> tuple[Array, Array]:
        """Basis functions of the half-width `width * first + annulus * second` at positions `u` in [0, 1]."""
        widest = self.widest + 0.10 * contraction * (0.8 - self.widest)
        power = self.apex_power * (1.0 - 0.12 * contraction)
        above = np.clip(1.0 - u / widest, 0.0, 1.0)
        below = np.clip((u - widest) / (1.0 - widest), 0.0, 1.0) ** self.base_power
        wave = 1.0 + sum(r * np.sin((k + 2) * np.pi * u) for k, r in enumerate(self.ripple))
        wave = wave - contraction * self.squeeze * np.clip(1.0 - u / 0.75, 0.0, 1.0)
        return self.share * (1.0 - above**power) ** (1.0 / power) * (1.0 - below) * wave, below


@dataclass(frozen=True)
class State:
    """The left ventricle at one phase."""

    contraction: float
    volume: float  # ml
    apex: float  # xi, cm
    base: float  # xi, cm
    width: float  # cm
    annulus: float  # half-width of the mitral annulus, cm

    @property
    def length(self) -> float:
        """Length of the long axis, cm."""
        return self.base - self.apex


@dataclass(frozen=True)
class Heart:
    """The anatomy of a patient at end-diastole, unless noted otherwise; lengths in cm, volumes in ml."""

    edv: float
    esv: float
    length: float
    shortening: float  # of the long axis at end-systole, relative to its length
    apex_share: float  # share of the shortening at the apex; the rest is at the base
    annulus: float
    walls: tuple[Wall, Wall]
    apex_thickness: float
    bend: float  # maximum displacement of the bent long axis, cm
    cycle: Cycle
    atrium_length: float
    atrium_widths: tuple[float, float]
    atrium_power: float
    atrium_wall: float  # thickness of its lateral wall, cm
    right_width: float
    right_apex: float  # position of the right ventricle's apex, relative to the long axis
    right_atrium_width: float

    def state(self, phase: float) -> State:
        """The ventricle at a phase."""
        c = float(self.cycle.contraction(phase))
        volume = self.edv - (self.edv - self.esv) * c
        loss = self.length * self.shortening * c
        apex, base = self.apex_share * loss, self.length - (1.0 - self.apex_share) * loss
        width, annulus = self._width(volume, base - apex, self.annulus * (1.0 - 0.12 * c), c)
        return State(c, volume, apex, base, width, annulus)

    def _width(self, volume: float, length: float, annulus: float, c: float) -> tuple[float, float]:
        u = (np.arange(_DISCS) + 0.5) / _DISCS
        first, second = np.sum([wall.basis(u, c) for wall in self.walls], axis=0)
        target = volume / (np.pi / 4.0 * length)
        qa, qb, qc = np.mean(first**2), annulus * np.mean(first * second), annulus**2 * np.mean(second**2) - target
        width = (-qb + np.sqrt(max(qb * qb - qa * qc, 0.0))) / qa
        if width >= annulus / 0.95:
            return float(width), float(annulus)
        # in a very small ventricle the annulus is limited by the width
        width = np.sqrt(target / np.mean((first + 0.95 * second) ** 2))
        return float(width), float(0.95 * width)

    def half_width(self, state: State, side: int, xi: Array) -> Array:
        """Half-width of the left ventricle and atrium on one side at `xi`, cm; 0 outside."""
        u = np.clip((xi - state.apex) / state.length, 0.0, 1.0)
        first, second = self.walls[side].basis(u, state.contraction)
        ventricle = state.width * first + state.annulus * second
        v = np.clip((xi - state.base) / (self.roof - state.base), 0.0, 1.0)
        s = np.minimum(v / 0.45, 1.0)
        s = s * s * (3.0 - 2.0 * s)
        bulge = self.atrium_widths[side] * (1.0 + 0.12 * state.contraction)
        closing = (1.0 - v**self.atrium_power) ** (1.0 / self.atrium_power)
        return np.where(xi <= state.base, ventricle, (state.annulus * (1.0 - s) + bulge * s) * closing)

    @property
    def roof(self) -> float:
        """xi at the end of the left atrium, cm; it does not move with the annulus, so the atrium fills in systole."""
        return self.length + self.atrium_length

    def endocardium(self, state: State, points: int = 61) -> tuple[Array, Array]:
        """The septal and lateral endocardium from apex to annulus, (points, 2) float64 each, (xi, eta) in cm."""
        # denser towards the apex, where the curvature is largest
        xi = state.apex + state.length * np.linspace(0.0, 1.0, points) ** 2
        septal = np.stack([xi, self.bow(xi) - self.half_width(state, SEPTAL, xi)], axis=-1)
        lateral = np.stack([xi, self.bow(xi) + self.half_width(state, LATERAL, xi)], axis=-1)
        return septal, lateral

    def bow(self, xi: Array) -> Array:
        """Displacement of the bent long axis at `xi`, cm; 0 at the apex and at the annulus."""
        u = np.clip(xi / self.length, -0.3, 1.6)
        return self.bend * 4.0 * u * (1.0 - u)


def draw_heart(rng: np.random.Generator) -> Heart:
    """Draw a random patient: EF 56 ± 12 % and EDV 91 ± 45 ml, as in EchoNet-Dynamic; failing hearts are larger."""
    ef = _draw_ef(rng)
    edv = float(np.clip(np.exp(4.40 - 0.016 * (ef - 56.0) + 0.42 * rng.standard_normal()), 25.0, 320.0))
    sphericity = float(np.clip(0.55 + 0.0012 * (edv - 91.0) + 0.055 * rng.standard_normal(), 0.42, 0.80))
    length = float((edv / (0.53 * sphericity**2)) ** (1 / 3))
    half = 0.5 * sphericity * length
    scale = float(np.clip(length / 8.5, 0.8, 1.25))
    bulge = 0.10 * rng.standard_normal()
    squeeze = float(rng.uniform(0.0, 0.6) * np.clip(ef / 60.0, 0.2, 1.0))
    thickness = float(np.exp(0.22 * rng.standard_normal())) * 0.95 * np.sqrt(scale)
    walls = tuple(
        Wall(
            share=1.0 + sign * float(np.clip(bulge + 0.04, -0.22, 0.22)),
            widest=float(rng.uniform(0.42, 0.68)),
            apex_power=float(rng.uniform(1.7, 2.7)),
            base_power=float(rng.uniform(1.5, 2.8)),
            ripple=tuple(float(r) for r in 0.025 * rng.standard_normal(3)),
            squeeze=squeeze,
            thickness=float(thickness * rng.uniform(0.8, 1.2)),
        )
        for sign in (-1.0, 1.0)
    )
    annulus = half * float(rng.uniform(0.66, 1.0))
    atrium = float(np.clip(rng.normal(4.9, 0.9) * np.sqrt(scale), 2.8, 7.5))
    cycle = _draw_cycle(rng)
    return Heart(
        edv=edv,
        esv=edv * (1.0 - ef / 100.0),
        length=length,
        shortening=float(np.clip(ef / 100.0 * rng.uniform(0.18, 0.32), 0.02, 0.24)),
        apex_share=float(rng.uniform(0.05, 0.25)),
        annulus=annulus,
        walls=(walls[0], walls[1]),
        apex_thickness=float(thickness * rng.uniform(0.6, 1.6)),
        bend=float(0.15 * rng.standard_normal()),
        cycle=cycle,
        atrium_length=atrium,
        atrium_widths=(annulus + float(rng.normal(0.15, 0.35)), annulus + float(rng.uniform(-0.2, 1.1))),
        atrium_power=float(rng.uniform(2.2, 4.5)),
        atrium_wall=float(rng.uniform(0.2, 0.8)),
        right_width=float(np.clip(rng.normal(3.3, 0.7) * scale, 1.6, 5.5)),
        right_apex=float(rng.uniform(0.12, 0.42)),
        right_atrium_width=float(np.clip(rng.normal(3.7, 1.0), 1.2, 6.0)),
    )


def _draw_ef(rng: np.random.Generator) -> float:
    mean, spread = ((61.0, 6.0), (45.0, 8.0), (27.0, 8.0))[rng.choice(3, p=[0.78, 0.14, 0.08])]
    return float(np.clip(rng.normal(mean, spread), 10.0, 80.0))


def _draw_cycle(rng: np.random.Generator) -> Cycle:
    systole = float(rng.uniform(0.32, 0.42))
    early_end = systole + float(rng.uniform(0.20, 0.28))
    return Cycle(
        systole,
        float(rng.normal(0.03, 0.06)),
        float(rng.uniform(0.15, 0.40)),
        early_end,
        float(rng.uniform(early_end + 0.04, 0.86)),
    )
