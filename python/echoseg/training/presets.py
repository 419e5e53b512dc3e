"""Settings of published work, by name and approach. The splits are not part of them: echoseg splits by patient.

docs/papers/ compares each setting with the text and the code of the work.
"""

from __future__ import annotations

from typing import Any

_NO_AUGMENTATION: dict[str, Any] = {
    "rotation": 0.0,
    "zoom": 0.0,
    "shift": 0.0,
    "flip": 0.0,
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
# Mendoza et al., "EchoNet-Dynamic: U-Net for Cardiac Image Segmentation": fixed copies in place of random augmentation,
# U-Net with 32 to 512 channels for masks and 64 to 1024 for landmarks, Adam 5e-4, batch size 32, 30 epochs
_MENDOZA: dict[str, Any] = {
    **_NO_AUGMENTATION,
    **_CONSTANT_ADAM,
    "ordering": "nearest",
    "validation": "split",
    "learning_rate": 5e-4,
    "batch_size": 32,
    "epochs": 30,
}
_MENDOZA_MASKS: dict[str, Any] = {"size": (128, 128), "fixed_copies": 0.6667, "width": 32, "dropout": 0.3}
_MENDOZA_LANDMARKS: dict[str, Any] = {
    "fixed_copies": 0.323,
    "width": 64,
    "dropout": 0.2,
    "landmarks": 6,
    "scheme": "extremes",
    "sigma": 5.0,
    "radius": 160.0,  # the diagonal of a frame: no limit
    "band_iterations": 1,
    "decode": "argmax",
}
# Craciun, "Image Segmentation for Heart using Deep Learning":
# U-Net with 64 to 1024 channels, Adam 1e-4, BCE, batch size 5, 3 epochs, 320×320, blank slices too, the last weights.
# The steps after the network are inference.postprocess.CRACIUN
_CRACIUN: dict[str, Any] = {
    **_NO_AUGMENTATION,
    **_CONSTANT_ADAM,
    "size": (320, 320),
    "blanks": True,
    "validation": "none",
    "epochs": 3,
    "learning_rate": 1e-4,
    "batch_size": 5,
    "loss": "bce",
    "width": 64,
}

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "rodriguez": {
        "mask": {**_RODRIGUEZ, "loss": "bce", "epochs": 20},
        "landmark": {**_RODRIGUEZ, "loss": "channel_ce", "epochs": 5, **_RODRIGUEZ_LANDMARKS},
    },
    "mendoza": {
        "mask": {**_MENDOZA, "loss": "dice", **_MENDOZA_MASKS},
        "landmark": {**_MENDOZA, "loss": "bce", **_MENDOZA_LANDMARKS},
    },
    "craciun": {"mask": _CRACIUN},
}
