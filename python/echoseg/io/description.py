"""Reads a `dataset.json`: what a person says about a folder's files, such as labels, patients and axes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from echoseg.errors import DataError

DESCRIPTION = "dataset.json"


def read_description(path: Path) -> dict[str, Any]:
    """Read the keys and values of a `dataset.json`; empty if there is no such file, or if it holds no keys.

    Raises:
        DataError: The file cannot be read, or is no valid JSON.
    """
    try:
        content = json.loads(path.read_bytes())  # of bytes, so UTF-16 and byte-order marks are understood
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}:{error.colno}: invalid JSON ({error.msg}); fix it") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    except (ValueError, RecursionError):
        raise DataError(f"{path}: is no JSON in UTF-8; save it as a text in UTF-8") from None
    return content if isinstance(content, dict) else {}
