"""Synthetic apical four-chamber cines with known truth: anatomy → tissue → acoustics → frames and tracings.

This room imports utils, geometry and datasets.
"""

from echoseg.phantom.dataset import write_phantom, write_phantom_store

__all__ = ["write_phantom", "write_phantom_store"]
