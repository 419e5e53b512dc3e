"""Whether a run can be continued from its saved state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from echoseg.errors import DataError
from echoseg.training import checkpoint
from echoseg.training.config import Config


def check_state(run: Path, state: dict[str, Any], config: Config, now: dict[str, Any]) -> list[str]:
    """Refuse to continue a run with other settings, data, functions or processes.

    Args:
        run: The run folder.
        state: What ``checkpoint.load_state`` has read.
        config: The settings as they are now.
        now: The entries "data", "rehearsed", "custom" and "ranks" that a state would have if it were saved now.

    Returns:
        A sentence for each setting that was edited where that is allowed.

    Raises:
        DataError: Something differs that changes what the network learns, or fewer epochs are requested than have
            begun.
    """
    notes = checkpoint.check_settings(run, config, state.get("settings", {}))
    if (state.get("data"), state.get("rehearsed", "")) != (now["data"], now["rehearsed"]):
        raise DataError(f"{run}: the data are not those that the run began with; bring them back or start another run")
    if (before := state.get("custom", {})) != now["custom"]:
        raise DataError(f"{run}: trained with {_listed(before)}, resumed with {_listed(now['custom'])}; give the same")
    if (count := state.get("ranks", now["ranks"])) != now["ranks"]:
        cure = f"torchrun --nproc-per-node {count}" if count > 1 else "one process, without torchrun"
        raise DataError(f"{run}: trained by {count} processes, resumed by {now['ranks']}; resume it by {cure}")
    progress = state["progress"]
    begun = progress["epoch"] + (progress["step"] > 0)
    if config.epochs is not None and config.epochs < begun:
        raise DataError(
            f"{run / checkpoint.CONFIG}: epochs is {config.epochs}, but epoch {begun} has begun; give at least {begun}"
        )
    return notes


def _listed(names: dict[str, str]) -> str:
    return ", ".join(f"{part} {name}" for part, name in names.items()) or "echoseg's own network, loss and augmentation"
