"""Settings of the papers that echoseg makes real, by name and approach. Data and splits are ours: by patient."""

from __future__ import annotations

from typing import Any

_NO_AUGMENTATION: dict[str, Any] = {
    "rotation": 0.0,
    "zoom": 0.0,
    "shift": 0.0,
    "gamma": 0.0,
    "gain": 0.0,
    "shade": 0.0,
    "noise": 0.0,
}
_CONSTANT_ADAM: dict[str, Any] = {"optimizer": "adam", "schedule": "constant", "weight_decay": 0.0}

# first seed: U-Net 64 … 1024, Adam 1e-4, batch 64, no augmentation; its landmark loss is a softmax over channels
_SEED1: dict[str, Any] = {
    **_NO_AUGMENTATION,
    **_CONSTANT_ADAM,
    "learning_rate": 1e-4,
    "batch_size": 64,
    "width": 64,
    "sigma": 5.0,
}
_SEED1_LANDMARKS: dict[str, Any] = {"landmarks": 7, "scheme": "angle", "outline": "polygon", "decode": "argmax"}
# second seed: 20 degrees, zoom 0.2, horizontal flip, Adam 5e-4, batch 32, 30 epochs, six landmarks
_SEED2: dict[str, Any] = {
    **_NO_AUGMENTATION,
    **_CONSTANT_ADAM,
    "rotation": 20.0,
    "zoom": 0.2,
    "flip": 0.5,
    "learning_rate": 5e-4,
    "batch_size": 32,
    "epochs": 30,
    "sigma": 5.0,
}

_SEED2_LANDMARKS: dict[str, Any] = {"landmarks": 6, "scheme": "extremes", "outline": "cubic", "decode": "argmax"}

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "rodriguez": {
        "mask": {**_SEED1, "loss": "bce"},
        "landmark": {**_SEED1, "loss": "channel_ce", **_SEED1_LANDMARKS},
    },
    "mendoza": {
        "mask": {**_SEED2, "loss": "dice", "width": 32, "dropout": 0.3},
        "landmark": {**_SEED2, "loss": "bce", "width": 64, "dropout": 0.2, **_SEED2_LANDMARKS},
    },
}
