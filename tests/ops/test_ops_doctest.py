"""The docstrings of the public operators: their sections and their examples."""

from __future__ import annotations

import doctest

import pytest

from echoseg import ops

FUNCTIONS = sorted(set(ops.__all__) - {"Targets"})


@pytest.mark.parametrize("name", FUNCTIONS)
def test_examples(name):
    [example] = doctest.DocTestFinder(recurse=False).find(getattr(ops, name), name)
    assert example.examples, f"{name} has no example"
    output: list[str] = []
    assert doctest.DocTestRunner().run(example, out=output.append).failed == 0, "".join(output)


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"build_info"}))
def test_sections(name):
    lines = [line.strip() for line in getattr(ops, name).__doc__.splitlines()]
    sections = ["Args:", "Returns:", "Raises:", "Source:", "Example:"]
    assert [line for line in lines if line in sections] == sections
