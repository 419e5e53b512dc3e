"""The arrows of the house: imports go down only, and the light rooms stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import echoseg

PACKAGE = Path(echoseg.__file__).parent
FLOORS = ["_core", "ops", "geometry", "data", "models", "assess", "training", "inference", "report", "review", "cli"]
SAME_FLOOR = {"assess": "models", "review": "report"}  # neither may know the other


def imports(path: Path) -> set[str]:
    """Rooms of echoseg that a file imports, inside functions too; what it imports relatively lies in its own room."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" if node.module == "echoseg" else node.module for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("echoseg.")}
    return found


@pytest.mark.parametrize("room", FLOORS[1:])
def test_imports_go_down(room):
    allowed = {*FLOORS[: FLOORS.index(room) + 1], "errors", "sealed"} - {SAME_FLOOR.get(room)}
    for path in (PACKAGE / room).rglob("*.py"):
        climbing = imports(path) - allowed
        assert not climbing, f"{path.relative_to(PACKAGE)} imports {climbing}"
        if path.name != "_native.py":
            assert "_core" not in imports(path), f"{path.relative_to(PACKAGE)}: only ops/_native.py imports _core"


def test_every_room_has_its_floor():
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms == set(FLOORS) - {"_core"}


@pytest.mark.parametrize(
    "module", ["echoseg", "echoseg.ops", "echoseg.geometry.landmarks", "echoseg.data.store", "echoseg.cli"]
)
def test_imports_without_torch(module):
    code = f"import sys; sys.modules['torch'] = None; import {module}"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
