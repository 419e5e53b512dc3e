"""Left-ventricle segmentation from expert tracings: targets drawn in C++ and CUDA, U-Nets on masks or landmarks.

    clip = echoseg.read_clip("cine.dcm")
    run = echoseg.train("DATA", approach="landmark", out="runs/x")
    predict = echoseg.load(run)
    prediction = predict(clip)
    measurement = echoseg.measure(prediction, clip)

The kernels are in `echoseg.ops`. Importing echoseg does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from echoseg.api import Run, compare, evaluate, train
    from echoseg.datasets.formats import read_dataset
    from echoseg.datasets.recording import Dataset
    from echoseg.datasets.store import Store, prepare
    from echoseg.errors import DataError
    from echoseg.file_prediction import predict_files
    from echoseg.inference.measure import Measurement, measure
    from echoseg.inference.predictor import Prediction, Predictor, load
    from echoseg.inference.suggest import suggest
    from echoseg.io.clip import Clip
    from echoseg.io.reading import read_clip

    __version__: str

_HOMES = {
    "Clip": "io.clip",
    "DataError": "errors",
    "Dataset": "datasets.recording",
    "Measurement": "inference.measure",
    "Prediction": "inference.predictor",
    "Predictor": "inference.predictor",
    "Run": "api",
    "Store": "datasets.store",
    "compare": "api",
    "evaluate": "api",
    "load": "inference.predictor",
    "measure": "inference.measure",
    "predict_files": "file_prediction",
    "prepare": "datasets.store",
    "read_clip": "io.reading",
    "read_dataset": "datasets.formats",
    "suggest": "inference.suggest",
    "train": "api",
}

__all__ = [
    "Clip",
    "DataError",
    "Dataset",
    "Measurement",
    "Prediction",
    "Predictor",
    "Run",
    "Store",
    "__version__",
    "compare",
    "evaluate",
    "load",
    "measure",
    "predict_files",
    "prepare",
    "read_clip",
    "read_dataset",
    "suggest",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("echoseg")
    if name in _HOMES:
        return getattr(importlib.import_module(f"echoseg.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'echoseg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
