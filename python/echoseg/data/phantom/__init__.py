"""Synthetic apical four-chamber cines with known truth: anatomy → tissue → acoustics → frames and tracings."""

from echoseg.data.phantom.dataset import write_phantom, write_phantom_store

__all__ = ["write_phantom", "write_phantom_store"]
