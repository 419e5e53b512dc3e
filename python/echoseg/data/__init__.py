"""Tracings and videos in, samples out: readers, the store of decoded frames, splits by patient, phantoms."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from echoseg.data.cache import cache_folder
    from echoseg.data.echonet import read_echonet
    from echoseg.data.formats import read_dataset
    from echoseg.data.reading import read_frames
    from echoseg.data.split import assign_splits
    from echoseg.data.store import Store, open_store, prepare, write_store
    from echoseg.data.tracing import Dataset, Fault, Recording, Tracing

__all__ = [
    "Dataset",
    "Fault",
    "Recording",
    "Store",
    "Tracing",
    "assign_splits",
    "cache_folder",
    "open_store",
    "prepare",
    "read_dataset",
    "read_echonet",
    "read_frames",
    "write_store",
]

_HOMES = {
    "cache": ("cache_folder",),
    "echonet": ("read_echonet",),
    "formats": ("read_dataset",),
    "reading": ("read_frames",),
    "split": ("assign_splits",),
    "store": ("Store", "open_store", "prepare", "write_store"),
    "tracing": ("Dataset", "Fault", "Recording", "Tracing"),
}


def __getattr__(name: str) -> Any:
    # a child that decodes imports this package, and must not import pandas
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"echoseg.data.{module}"), name)
    raise AttributeError(f"module 'echoseg.data' has no attribute {name!r}")
