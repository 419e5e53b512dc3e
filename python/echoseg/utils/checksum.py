"""JSON objects that contain the SHA-256 of their own content, so that damage is detected."""

from __future__ import annotations

import hashlib
import json
from typing import Any

_KEY = "checksum"


def add_checksum(values: dict[str, Any]) -> dict[str, Any]:
    """The values and the SHA-256 of their content."""
    return {**values, _KEY: _hash(values)}


def verify_checksum(values: Any, *, required: bool = False) -> dict[str, Any]:
    """Check the checksum, and return the values without it.

    Args:
        values: A JSON value. Older versions wrote objects without a checksum.
        required: Whether to refuse an object without a checksum.

    Raises:
        ValueError: The value is not an object, or its checksum is missing although required, or wrong.
    """
    if not isinstance(values, dict):
        raise ValueError("not an object")
    content = {name: value for name, value in values.items() if name != _KEY}
    if (required or _KEY in values) and values.get(_KEY) != _hash(content):
        raise ValueError("its content does not match its checksum")
    return content


def parse(text: str, *, required: bool = False) -> dict[str, Any]:
    """Parse text that ``json.dumps(add_checksum(...))`` wrote; the inverse.

    Args:
        text: JSON.
        required: Whether to refuse an object without a checksum.

    Raises:
        ValueError: The text is not JSON, or not an object; or its checksum is missing although required, or wrong.
    """
    try:
        return verify_checksum(json.loads(text), required=required)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _hash(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
