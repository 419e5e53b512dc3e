"""The phantom store that is used if no data set is given."""

from __future__ import annotations

import contextlib
from pathlib import Path

from echoseg.datasets.store_files import FORMAT
from echoseg.phantom.dataset import VERSION, write_phantom_store
from echoseg.utils.cache import cache_folder

PATIENTS, SEED = 400, 0


def cached_phantom(patients: int = PATIENTS, *, ordering: str | None = None) -> Path:
    """The path of a phantom store in the cache folder; the first call writes it.

    Args:
        patients: Number of patients.
        ordering: How the tracings are ordered into contours; None means `chords`.
    """
    ordering = ordering or "chords"
    name = f"phantom-v{VERSION}-format-{FORMAT}-{patients}-patients-seed-{SEED}-{ordering}"
    path = cache_folder() / "phantoms" / name
    if not path.exists():
        with contextlib.suppress(FileExistsError):  # another process has written the same store
            write_phantom_store(path, patients=patients, seed=SEED, ordering=ordering)
    return path
