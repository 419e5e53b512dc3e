"""The synthetic data that are used if no data set is given."""

from __future__ import annotations

import contextlib
from pathlib import Path

from echoseg.datasets.store_files import FORMAT
from echoseg.phantom.dataset import VERSION, write_phantom_store
from echoseg.phantom.stacks import STACKS_VERSION, write_phantom_stacks
from echoseg.phantom.view import SIZE
from echoseg.utils.cache import cache_folder

PATIENTS, STACKS, SEED = 400, 20, 0


def cached_phantom(
    patients: int = PATIENTS, *, size: tuple[int, int] = (SIZE, SIZE), ordering: str | None = None
) -> Path:
    """The path of a phantom store in the cache folder; the first call writes it.

    Args:
        patients: Number of patients.
        size: (H, W) of the frames.
        ordering: See `write_phantom_store`.

    Raises:
        DataError: The ordering is not one of chords.
    """
    name = f"v{VERSION}-format-{FORMAT}-{patients}-patients-seed-{SEED}"
    if (size, ordering) != ((SIZE, SIZE), None):
        name += f"-{size[0]}x{size[1]}-{ordering or 'chords'}"
    path = cache_folder() / "phantoms" / name
    if not path.exists():
        with contextlib.suppress(FileExistsError):  # another process has written the same store
            write_phantom_store(path, patients=patients, seed=SEED, size=size, ordering=ordering)
    return path


def cached_stacks(patients: int = STACKS) -> Path:
    """The path of synthetic stacks with masks in the cache folder; the first call writes them.

    Args:
        patients: Number of patients, one stack each.
    """
    path = cache_folder() / "phantoms" / f"stacks-v{STACKS_VERSION}-{patients}-patients-seed-{SEED}"
    if not path.exists():
        with contextlib.suppress(FileExistsError):  # another process has written the same stacks
            write_phantom_stacks(path, patients=patients, seed=SEED)
    return path
