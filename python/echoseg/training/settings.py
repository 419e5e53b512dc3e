"""How a setting is declared, and how its value is converted and checked."""

from __future__ import annotations

import contextlib
import os
import reprlib
import types
from dataclasses import field
from typing import Any, get_args

from echoseg.errors import DataError


def setting(default: Any, help: str, **limits: Any) -> Any:
    """Declare a field of a dataclass.

    Args:
        default: Default value of the setting.
        help: What the setting does, for ``echoseg train --help``.
        **limits: ``choices``, ``ge``, ``le`` and ``gt``, as in pydantic; ``metavar``, the value's name in the help; and
            ``internal`` for a setting without a flag, which a training chooses.
    """
    return field(default=default, metadata={"help": help, **limits})


def converted(name: str, value: Any, kind: Any) -> Any:
    """Convert a value from YAML or the command line, which have no tuples and write 1 for 1.0, to a setting's type.

    A path may be given where text is expected, such as a ``Path`` or an ``echoseg.api.Run``.

    A number that may be left open may also be given as "auto".

    Args:
        name: Name of the setting.
        value: Value to convert.
        kind: Type of the setting, from its annotation.

    Raises:
        DataError: The value has another type.
    """
    options = get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if value is None and type(None) in options:
        return None
    target = options[0]
    if value == "auto" and type(None) in options and target in (int, float):
        return None
    if target is bool and isinstance(value, bool):
        return value
    if target is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if target is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if target is float and isinstance(value, str):  # YAML reads 1e-3 as text
        with contextlib.suppress(ValueError):
            return float(value)
    if target is str and isinstance(value, os.PathLike):
        return os.fspath(value)
    if target is str and isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    if (parts := get_args(target)) and isinstance(value, list | tuple) and len(value) == len(parts):
        return tuple(converted(name, part, part_kind) for part, part_kind in zip(value, parts, strict=True))
    raise DataError(f"{name} is {reprlib.repr(value)[:100]}, expected {getattr(target, '__name__', target)}")


def check_limits(name: str, value: Any, limits: Any) -> None:
    """Check a value against the limits of its setting.

    Args:
        name: Name of the setting.
        value: Value to check, or a tuple of values.
        limits: The setting's metadata, see ``setting``.

    Raises:
        DataError: The value is not among the choices, or outside the limits.
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
