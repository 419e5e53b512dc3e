"""JSON that carries the SHA-256 of its own content, so that what was damaged is told from what was written."""

from __future__ import annotations

import hashlib
import json
from typing import Any

_SEAL = "seal"


def seal(values: dict[str, Any]) -> dict[str, Any]:
    """The values, and what their content hashes to."""
    return {**values, _SEAL: _hash(values)}


def unseal(values: Any, *, needed: bool = False) -> dict[str, Any]:
    """The values without their seal.

    Args:
        values: what was read; of an older version, without a seal.
        needed: refuse that.

    Raises:
        ValueError: no object, no seal where it is needed, or content that is not what was written.
    """
    if not isinstance(values, dict):
        raise ValueError("no object")
    content = {name: value for name, value in values.items() if name != _SEAL}
    if (needed or _SEAL in values) and values.get(_SEAL) != _hash(content):
        raise ValueError("its content is not what was written")
    return content


def parse(text: str, *, needed: bool = False) -> dict[str, Any]:
    """What ``json.dumps(seal(...))`` wrote; see ``unseal``."""
    try:
        return unseal(json.loads(text), needed=needed)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _hash(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
