"""A synthetic patient: frames and tracings of a heart, a scan plane and a scanner."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from echoseg.phantom import acoustics, expert, motion, tissue, valve, view
from echoseg.phantom.anatomy import Array, draw_heart

FPS = 50.0
FRAMES = 60


class Patient:
    """Patient `index` of the population `seed`; it depends only on these two numbers.

    Args:
        seed: The population.
        index: The number of the patient.

    Attributes:
        heart: The anatomy.
        view: The scan plane.
        machine: The scanner settings.
        phases: (FRAMES,) float64, the phase of each frame in beats.
        ed: The end-diastolic frame that an observer chooses: near the largest frame, more often before it than after
            it, when the mitral valve may still be open.
        es: The end-systolic frame that an observer chooses, near the smallest frame.
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
        self._decorrelation = float(rng.uniform(0.0, 2.0))  # of the speckle, radians per second
        self._jitter = float(rng.uniform(0.3, 0.9))
        self._reference = motion.reference_borders(self.heart)
        xi, eta = self.view.to_heart(np.zeros(1), np.full(1, -self.view.radius), 0.0)
        self._tissue = tissue.make_amplitude(self.heart, self._reference, (float(xi[0]), float(eta[0])), rng)
        self._scatterers = acoustics.draw_scatterers(rng)
        volumes = self.volumes
        frames = np.array([volumes.argmax() + rng.integers(-4, 2), volumes.argmin() + rng.integers(-2, 3)])
        self.ed, self.es = np.clip(frames, 0, FRAMES - 1).tolist()

    @cached_property
    def volumes(self) -> Array:
        """(FRAMES,) float64, the true volume of the left ventricle in ml."""
        return self.heart.edv - (self.heart.edv - self.heart.esv) * self.heart.cycle.contraction(self.phases)

    @property
    def ef(self) -> float:
        """Ejection fraction of the two traced frames, in percent."""
        return float(100.0 * (1.0 - self.volumes[self.es] / self.volumes[self.ed]))

    def frame(self, number: int) -> Array:
        """Simulate a frame: (112, 112) uint8."""
        envelope = acoustics.echo(self.machine, self.scatter(number), np.random.default_rng((*self._key, number + 1)))
        return acoustics.display(self.machine, self.view, envelope)

    def scatter(self, number: int) -> Array:
        """Complex scatter of tissue and valve before the point spread function: (DEPTHS, BEAMS, 2) float32."""
        state = self.heart.state(self.phases[number])
        xi, eta = self.view.to_heart(*self.view.polar, state.contraction)
        eta = eta - self.heart.bow(xi)
        column, row = motion.to_reference(self.heart, state, self._reference, xi, eta)
        amplitude = acoustics.sample_amplitude(self._tissue, column, row)
        opening = float(self.heart.cycle.opening(self.phases[number]))
        leaflets = valve.draw_leaflets(self._valve, self.heart, state, opening, self.view)
        amplitude += leaflets
        angle = self._decorrelation * number / FPS
        field = acoustics.sample_scatterers(self._scatterers, column, row, angle) * amplitude[..., None]
        field[..., 0] += leaflets  # leaflets also reflect specularly
        return field

    def endocardium(self, number: int) -> tuple[Array, Array]:
        """The true septal and lateral endocardium of a frame, from apex to annulus: (61, 2) float64 each, pixels."""
        state = self.heart.state(self.phases[number])
        septal, lateral = self.heart.endocardium(state)
        return self._to_image(septal, state.contraction), self._to_image(lateral, state.contraction)

    def _to_image(self, points: Array, contraction: float) -> Array:
        return self.view.to_image(self.view.from_heart(points, contraction))

    def tracing(self, number: int) -> Array:
        """The tracing of a frame in the format of EchoNet-Dynamic: (21, 4) float32, pixels."""
        rng = np.random.default_rng((*self._key, FRAMES + 1 + number))
        return expert.trace(*self.endocardium(number), rng, self._jitter)

    def exact_tracing(self, number: int) -> Array:
        """Chords of the true endocardium of a frame, without an expert's errors: (21, 4) float32, pixels."""
        return expert.trace(*self.endocardium(number), np.random.default_rng(0), jitter=0.0)
