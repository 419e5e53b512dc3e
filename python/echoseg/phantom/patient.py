"""One synthetic patient: a heart, a view of it and a machine, put together into frames and tracings."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from echoseg.phantom import acoustics, expert, motion, tissue, valve, view
from echoseg.phantom.anatomy import Array, draw_heart

FPS = 50.0
FRAMES = 60


class Patient:
    """Patient ``index`` of the population ``seed``: the same wherever and in whatever order it is asked for.

    Attributes:
        ed: Number of the end-diastolic frame, as an observer picks it: near the largest of the video, rather before it,
            when the valve may still stand open.
        es: Number of the end-systolic frame, near the smallest.
    """

    def __init__(self, seed: int, index: int) -> None:
        self._key = (seed, index)
        rng = np.random.default_rng(self._key)
        self.heart = draw_heart(rng)
        self.view = view.draw_view(self.heart, rng)
        self.machine = acoustics.draw_machine(self.view, rng)
        self._valve = valve.draw_valve(rng)
        rate, start = rng.uniform(52.0, 95.0), rng.random()
        self.phases = (start + np.arange(FRAMES) * rate / 60.0 / FPS) % 1.0
        self._drift = float(rng.uniform(0.0, 2.0))  # radians a second: how fast speckle loses itself
        self._jitter = float(rng.uniform(0.3, 0.9))
        self._rest = motion.reference_borders(self.heart)
        xi, eta = self.view.to_heart(np.zeros(1), np.full(1, -self.view.radius), 0.0)
        self._tissue = tissue.paint(self.heart, self._rest, (float(xi[0]), float(eta[0])), rng)
        self._scatterers = acoustics.draw_scatterers(rng)
        volumes = self.volumes
        pick = np.array([volumes.argmax() + rng.integers(-4, 2), volumes.argmin() + rng.integers(-2, 3)])
        self.ed, self.es = np.clip(pick, 0, FRAMES - 1).tolist()

    @cached_property
    def volumes(self) -> Array:
        """(FRAMES,) float64: the true volume of the left ventricle, ml."""
        return self.heart.edv - (self.heart.edv - self.heart.esv) * self.heart.cycle.contraction(self.phases)

    @property
    def ef(self) -> float:
        """Ejection fraction between the two traced frames, percent."""
        return float(100.0 * (1.0 - self.volumes[self.es] / self.volumes[self.ed]))

    def frame(self, number: int) -> Array:
        """Frame ``number`` of the video, (112, 112) uint8."""
        envelope = acoustics.echo(self.machine, self.scatter(number), np.random.default_rng((*self._key, number + 1)))
        return acoustics.display(self.machine, self.view, envelope)

    def scatter(self, number: int) -> Array:
        """Complex scatter of tissue and valve before the point-spread function, (DEPTHS, BEAMS, 2) float32."""
        state = self.heart.state(self.phases[number])
        xi, eta = self.view.to_heart(*self.view.polar, state.contraction)
        eta = eta - self.heart.bow(xi)
        column, row = motion.to_reference(self.heart, state, self._rest, xi, eta)
        amplitude = acoustics.look_up(self._tissue, column, row)
        opening = float(self.heart.cycle.opening(self.phases[number]))
        leaflets = valve.draw_leaflets(self._valve, self.heart, state, opening, self.view)
        amplitude += leaflets
        field = acoustics.scatter(self._scatterers, column, row, self._drift * number / FPS) * amplitude[..., None]
        field[..., 0] += leaflets  # a leaflet is a mirror as well as a scatterer
        return field

    def outline(self, number: int) -> tuple[Array, Array]:
        """The true endocardium, septal and lateral side from apex to annulus, (61, 2) float64 each, pixels."""
        state = self.heart.state(self.phases[number])
        septal, lateral = self.heart.outline(state)
        return self._to_picture(septal, state.contraction), self._to_picture(lateral, state.contraction)

    def _to_picture(self, points: Array, contraction: float) -> Array:
        return self.view.to_picture(self.view.from_heart(points, contraction))

    def tracing(self, number: int) -> Array:
        """The tracing of a frame in EchoNet-Dynamic's rows, (21, 4) float32, pixels."""
        rng = np.random.default_rng((*self._key, FRAMES + 1 + number))
        return expert.trace(*self.outline(number), rng, self._jitter)
