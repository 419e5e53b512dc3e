"""The folder for cached files."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import platformdirs

from echoseg.errors import DataError


def cache_folder() -> Path:
    """The folder for cached files; it may not exist yet.

    Returns:
        `$ECHOSEG_CACHE` if it is set; otherwise the user's cache folder; if that is not writable, a folder of this user
        in the system's temporary folder.

    Raises:
        DataError: Other users have access to the folder in the temporary folder.
    """
    chosen = os.environ.get("ECHOSEG_CACHE")
    if chosen:
        return Path(chosen)
    folder = platformdirs.user_cache_path("echoseg")
    # Path.exists raises an error where a folder may not be searched
    existing = next(path for path in (folder, *folder.parents) if os.access(path, os.F_OK))
    return folder if existing.is_dir() and os.access(existing, os.W_OK) else _temporary_folder()


def _temporary_folder() -> Path:
    """A folder that only this user can access; its owner is checked, because its name is predictable."""
    if sys.platform == "win32":  # the temporary folder belongs to the user
        return Path(tempfile.gettempdir()) / "echoseg"
    folder = Path(tempfile.gettempdir()) / f"echoseg-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.stat(follow_symlinks=False)
    if folder.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise DataError(f"{folder}: other users can access it; set ECHOSEG_CACHE to a folder of your own")
    return folder
