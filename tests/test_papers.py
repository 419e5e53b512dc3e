"""The pages of the papers: their tables of settings agree with the presets and the defaults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from echoseg.training.config import Config
from echoseg.training.presets import PRESETS

PAGES = Path(__file__).parents[1] / "docs" / "papers"
HEADINGS = {"Masks": "mask", "Landmarks": "landmark"}
HEADER = ["setting", "paper", "preset", "default", "remark"]
CASES = [(name, approach) for name, approaches in PRESETS.items() for approach in approaches]

pytestmark = pytest.mark.skipif(not PAGES.is_dir(), reason="no documentation here")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def settings_tables(name: str) -> dict[str, dict[str, dict[str, str]]]:
    """Approach → setting → row, of the tables of settings on a paper's page."""
    tables: dict[str, dict[str, dict[str, str]]] = {}
    approach, header = "", []
    for line in (PAGES / f"{name}.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            approach = HEADINGS.get(line.lstrip("# "), "")
        elif not line.startswith("|"):
            header = []
        elif not header:
            header = cells(line)
        elif approach and header == HEADER and not line.startswith("|-"):
            row = dict(zip(header, cells(line), strict=True))
            tables.setdefault(approach, {})[row["setting"].strip("`")] = row
    return tables


def value_of(cell: str) -> object:
    """The value in a cell, without what stands in brackets after it."""
    text = re.sub(r"\(.*?\)", "", cell).replace("`", "").strip()
    try:
        return float(text)
    except ValueError:
        return {"true": True, "false": False, "null": None}.get(text, text)


def plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize(("name", "approach"), CASES)
def test_a_page_shows_every_setting_that_differs(name, approach):
    default = Config(approach=approach).values()
    preset = Config(**{"approach": approach, **PRESETS[name][approach]}).values()
    table = settings_tables(name)[approach]
    assert {setting for setting in preset if preset[setting] != default[setting]} <= table.keys()
    for setting, row in table.items():
        shown = {column: yaml.safe_load(row[column].strip("`")) for column in ("preset", "default")}
        assert shown == {"preset": plain(preset[setting]), "default": plain(default[setting])}, setting
        said, used = value_of(row["paper"]), value_of(row["preset"])
        is_told_in_words = isinstance(said, str) and said != "not said"
        assert row["remark"] or said == used or is_told_in_words, f"{setting}: says not why"


def test_pages_and_presets_are_the_same():
    assert {path.stem for path in PAGES.glob("*.md")} == PRESETS.keys()
    assert all(settings_tables(name).keys() == PRESETS[name].keys() for name in PRESETS)
