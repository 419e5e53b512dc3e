"""The structure of the package: which room imports which, how large rooms may be, and what imports without torch."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

import echoseg

PACKAGE = Path(echoseg.__file__).parent
IMPORTS = {
    "utils": "",
    "ops": "",
    "geometry": "utils",
    "io": "utils",
    "metrics": "utils ops geometry",
    "datasets": "utils geometry io",
    "phantom": "utils geometry datasets",
    "models": "ops geometry datasets",
    "training": "utils ops geometry datasets models",
    "inference": "utils ops geometry io metrics datasets phantom models training",
    "evaluation": "utils ops geometry io metrics datasets phantom models training inference",
    "quality": "utils ops geometry io datasets evaluation",
    "report": "utils ops geometry io metrics datasets training inference evaluation quality",
    "manuscript": "utils datasets metrics training inference evaluation report",
    "review": "utils ops geometry io datasets metrics models training inference evaluation report",
    "cli": "utils ops geometry datasets phantom training inference evaluation quality report manuscript review",
}
"""Room → the rooms that it imports, from the bottom of the package to its top."""
LARGEST_SHARE = 1 / 7  # of the package's lines, in one room


@functools.cache
def imports(path: Path) -> frozenset[str]:
    """The rooms and root modules of echoseg that a file imports, imports inside functions included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" if node.module == "echoseg" else node.module for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("echoseg.")}
    return frozenset(found)


def files(room: str) -> list[Path]:
    return list((PACKAGE / room).rglob("*.py"))


@pytest.mark.parametrize("room", IMPORTS)
def test_each_room_imports_what_the_table_says(room):
    beside = {"errors", "_core", *(["api", "file_prediction"] if room == "cli" else [])}  # the only room above them
    found = set().union(*map(imports, files(room))) - {room} - beside
    assert found == set(IMPORTS[room].split())


def test_imports_go_down_only():
    rooms = list(IMPORTS)
    for number, room in enumerate(rooms):
        assert set(IMPORTS[room].split()) <= set(rooms[:number])


@pytest.mark.slow
def test_only_one_file_imports_the_native_core():
    users = [path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if "_core" in imports(path)]
    assert users == ["ops/_native.py"]


def test_the_table_lists_every_room():
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms == set(IMPORTS)


def test_no_room_is_too_large():
    lines = {room: sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files(room)) for room in IMPORTS}
    assert max(lines.values()) <= LARGEST_SHARE * sum(lines.values()), lines


def test_each_room_says_what_it_holds():
    for room in IMPORTS:
        assert ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))), room


@pytest.mark.slow
def test_imports_without_torch():
    modules = (
        "echoseg, echoseg.ops, echoseg.geometry.landmarks, echoseg.io.reading, echoseg.datasets.store, echoseg.cli"
    )
    code = f"import sys; sys.modules['torch'] = None; import {modules}"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
