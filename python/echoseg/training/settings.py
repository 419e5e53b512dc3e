"""How a setting is declared, and what may be written for it."""

from __future__ import annotations

import contextlib
import reprlib
import types
from dataclasses import field
from typing import Any, get_args

from echoseg.errors import DataError


def setting(default: Any, help: str, **limits: Any) -> Any:
    """A field of a dataclass with its help, its metavar, and its limits: choices, ge, le, gt, as in pydantic."""
    return field(default=default, metadata={"help": help, **limits})


def converted(name: str, value: Any, kind: Any) -> Any:
    """``value`` as the field's type; YAML and the command line know no tuples and write 1 for 1.0.

    Raises:
        DataError: a value of another type.
    """
    options = get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if value is None and type(None) in options:
        return None
    target = options[0]
    if target is bool and isinstance(value, bool):
        return value
    if target is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if target is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if target is float and isinstance(value, str):  # YAML takes 1e-3 for text
        with contextlib.suppress(ValueError):
            return float(value)
    if target is str and isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    if (parts := get_args(target)) and isinstance(value, list | tuple) and len(value) == len(parts):
        return tuple(converted(name, part, of) for part, of in zip(value, parts, strict=True))
    raise DataError(f"{name} is {reprlib.repr(value)[:100]}, expected {getattr(target, '__name__', target)}")


def check_limits(name: str, value: Any, limits: Any) -> None:
    """Raises:
    DataError: a value that is no choice, or outside its limits.
    """
    if value is None:
        return
    if "choices" in limits and value not in limits["choices"]:
        raise DataError(f"unknown {name} {value!r}; known: {', '.join(limits['choices'])}")
    for number in value if isinstance(value, tuple) else (value,):
        if "le" in limits and not number <= limits["le"]:
            raise DataError(f"{name} is {number}, expected at most {limits['le']}")
        if "ge" in limits and not number >= limits["ge"]:
            raise DataError(f"{name} is {number}, expected at least {limits['ge']}")
        if "gt" in limits and not number > limits["gt"]:
            raise DataError(f"{name} is {number}, expected more than {limits['gt']}")
