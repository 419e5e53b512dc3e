"""Synthetic apical four-chamber cines with known volumes and contours: anatomy → tissue → acoustics → frames, tracings.

Imports utils, geometry and datasets.
"""

from echoseg.phantom.dataset import write_phantom, write_phantom_store

__all__ = ["write_phantom", "write_phantom_store"]
