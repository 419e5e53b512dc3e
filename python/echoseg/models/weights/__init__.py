"""The networks that ship with echoseg, one for each approach. They were trained on phantoms alone, and are under MIT.

`CARD.md` says what they are for, how good they are and where they fail. `tools/make_weights.py` makes them.
"""

from __future__ import annotations

from pathlib import Path


def weights_folder(approach: str = "landmark") -> Path:
    """The run folder of the network that ships with echoseg.

    Args:
        approach: "landmark" or "mask".

    Raises:
        ValueError: No network of this approach ships.
    """
    folder = Path(__file__).parent / approach
    if not (folder / "config.yaml").is_file():
        raise ValueError(f"unknown approach {approach!r}; known: landmark, mask")
    return folder
