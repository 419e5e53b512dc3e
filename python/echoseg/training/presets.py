"""Settings of published work, by name and approach. The splits are not part of them: echoseg splits by patient.

docs/papers/ compares each setting with the text and the code of the work.
"""

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

# Rodríguez Valencia et al., "Left Ventricle Automatic Segmentation with Deep Learning on the EchoNet Dynamic Dataset":
# points ordered by angle, U-Net with 64 to 1024 channels, Adam 1e-4, batch size 64, no augmentation, the last weights;
# landmark loss with a softmax over channels, heatmaps within 10 pixels and the border band of a 3×3 square
_RODRIGUEZ: dict[str, Any] = {
    **_NO_AUGMENTATION,
    **_CONSTANT_ADAM,
    "ordering": "angle",
    "validation": "last",
    "learning_rate": 1e-4,
    "batch_size": 64,
    "width": 64,
}
_RODRIGUEZ_LANDMARKS: dict[str, Any] = {
    "landmarks": 7,
    "scheme": "angle",
    "outline": "polygon",
    "decode": "argmax",
    "sigma": 5.0,
    "radius": 10.0,
    "band_kernel": 3,
    "band_iterations": 2,
}
# Mendoza et al., "EchoNet-Dynamic: U-Net for Cardiac Image Segmentation":
# rotation 20°, zoom 0.2, horizontal flip, Adam 5e-4, batch size 32, 30 epochs, six landmarks
_MENDOZA: dict[str, Any] = {
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
_MENDOZA_LANDMARKS: dict[str, Any] = {"landmarks": 6, "scheme": "extremes", "outline": "cubic", "decode": "argmax"}

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "rodriguez": {
        "mask": {**_RODRIGUEZ, "loss": "bce", "epochs": 20},
        "landmark": {**_RODRIGUEZ, "loss": "channel_ce", "epochs": 5, **_RODRIGUEZ_LANDMARKS},
    },
    "mendoza": {
        "mask": {**_MENDOZA, "loss": "dice", "width": 32, "dropout": 0.3},
        "landmark": {**_MENDOZA, "loss": "bce", "width": 64, "dropout": 0.2, **_MENDOZA_LANDMARKS},
    },
}
