"""constraints.txt leaves nothing to chance: one pin for each package, Python and system, and none forgotten."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

tomllib = pytest.importorskip("tomllib")  # Python 3.11

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINES = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
PINS = defaultdict(list)
for line in LINES:
    if not line.strip().startswith("#"):
        PINS[Requirement(line).name].append(Requirement(line))
EXTRAS = PROJECT["optional-dependencies"]
WANTED = [Requirement(one) for one in [*PROJECT["dependencies"], *itertools.chain.from_iterable(EXTRAS.values())]]
SYSTEMS = {"linux": "x86_64", "darwin": "arm64", "win32": "AMD64"}


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_what_is_asked_for_is_pinned_once_for_every_python_and_system(python, system):
    here = {
        "python_version": python,
        "python_full_version": f"{python}.5",
        "sys_platform": system,
        "platform_machine": SYSTEMS[system],
    }
    valid = {name: [one for one in pins if not one.marker or one.marker.evaluate(here)] for name, pins in PINS.items()}
    assert all(len(pins) <= 1 for pins in valid.values())
    for wanted in WANTED:
        if wanted.name != PROJECT["name"]:
            (pin,) = valid[canonicalize_name(wanted.name)]
            assert next(iter(pin.specifier)).version in wanted.specifier, f"{wanted}: {pin}"


def test_what_these_need_is_pinned_too():
    left, seen, forgotten = [*WANTED], set(), set()
    while left:
        wanted = left.pop()
        name = canonicalize_name(wanted.name)
        if (name, *sorted(wanted.extras)) in seen or name == PROJECT["name"]:
            continue
        seen.add((name, *sorted(wanted.extras)))
        if name not in PINS:
            forgotten.add(name)
        try:
            needed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        asked = [Requirement(one) for one in needed]
        left += [
            one
            for one in asked
            if not one.marker or any(one.marker.evaluate({"extra": extra}) for extra in ("", *wanted.extras))
        ]
    assert not forgotten


def test_page_on_dependencies_names_each_package():
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    tools = {Requirement(one).name for one in EXTRAS["dev"]}  # linters and build tools, which CONTRIBUTING.md describes
    names = {wanted.name for wanted in WANTED} - tools - {PROJECT["name"]}
    assert not {name for name in names if not re.search(rf"(?<![\w-]){name}(?![\w-])", page)}
