"""Settings that a plan chooses, for tests that need a complete configuration without one."""

from __future__ import annotations

AUGMENTATION = {"rotation": 20.0, "shift": 0.1, "flip": 0.0, "gamma": 0.5, "gain": 1.0, "shade": 1.5, "noise": 0.2}
