"""JSON that carries the SHA-256 of its own content, so that what was damaged is told from what was written."""

from __future__ import annotations

import hashlib
import json
from typing import Any

_KEY = "checksum"


def add_checksum(values: dict[str, Any]) -> dict[str, Any]:
    """The values, and what their content hashes to."""
    return {**values, _KEY: _hash(values)}


def verify_checksum(values: Any, *, required: bool = False) -> dict[str, Any]:
    """The values without their seal.

    Args:
        values: what was read; of an older version, without a seal.
        required: refuse that.

    Raises:
        ValueError: no object, no seal where it is needed, or content that is not what was written.
    """
    if not isinstance(values, dict):
        raise ValueError("no object")
    content = {name: value for name, value in values.items() if name != _KEY}
    if (required or _KEY in values) and values.get(_KEY) != _hash(content):
        raise ValueError("its content is not what was written")
    return content


def parse(text: str, *, required: bool = False) -> dict[str, Any]:
    """What ``json.dumps(add_checksum(...))`` wrote; see ``verify_checksum``."""
    try:
        return verify_checksum(json.loads(text), required=required)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _hash(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
