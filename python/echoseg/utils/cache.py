"""Where what can be made again is kept."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import platformdirs

from echoseg.errors import DataError


def cache_folder() -> Path:
    """`$ECHOSEG_CACHE`, else the user's cache folder, else, of a user without a home to write to, one for temporaries.

    Raises:
        DataError: Others could write to that of temporaries.
    """
    chosen = os.environ.get("ECHOSEG_CACHE")
    if chosen:
        return Path(chosen)
    folder = platformdirs.user_cache_path("echoseg")
    above = next(path for path in (folder, *folder.parents) if path.exists())
    return folder if above.is_dir() and os.access(above, os.W_OK) else _temporary_folder()


def _temporary_folder() -> Path:
    """A folder of this user alone: its name can be guessed, so whose it is counts."""
    if sys.platform == "win32":  # where temporaries are each user's own
        return Path(tempfile.gettempdir()) / "echoseg"
    folder = Path(tempfile.gettempdir()) / f"echoseg-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.stat(follow_symlinks=False)
    if folder.is_symlink() or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise DataError(f"{folder}: others may write to it; set ECHOSEG_CACHE to a folder of your own")
    return folder
