"""The phantom that training uses where no data is named."""

from __future__ import annotations

import contextlib
from pathlib import Path

from echoseg.datasets.store_files import FORMAT
from echoseg.phantom.dataset import VERSION, write_phantom_store
from echoseg.utils.cache import cache_folder

PATIENTS, SEED = 400, 0


def cached_phantom(patients: int = PATIENTS) -> Path:
    """A store of phantoms in the cache folder, made at the first call."""
    path = cache_folder() / "phantoms" / f"v{VERSION}-format-{FORMAT}-{patients}-patients-seed-{SEED}"
    if not path.exists():
        with contextlib.suppress(FileExistsError):  # another process made the same meanwhile
            write_phantom_store(path, patients=patients, seed=SEED)
    return path
