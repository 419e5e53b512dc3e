"""echoseg: left-ventricle segmentation from expert tracings.

``echoseg.load(run)`` gives a predictor; calling it on (T, H, W) uint8 frames gives masks, probabilities, landmarks and
areas. The kernels are in ``echoseg.ops``; everything else is reached through the command ``echoseg``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from echoseg.inference.predictor import load as load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    # importing echoseg must not import torch
    if name == "load":
        from echoseg.inference.predictor import load

        return load
    raise AttributeError(f"module 'echoseg' has no attribute {name!r}")
