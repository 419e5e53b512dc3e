"""Tracings and videos in, samples out: readers, the store of decoded frames, splits by patient, phantoms."""

from echoseg.data.echonet import read_echonet
from echoseg.data.formats import read_dataset
from echoseg.data.split import assign_splits
from echoseg.data.store import Store, cache_folder, open_store, prepare, write_store
from echoseg.data.tracing import Dataset, Fault, Recording, Tracing
from echoseg.data.video import read_frames

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
