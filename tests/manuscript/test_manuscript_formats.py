"""Any text as LaTeX, Markdown and CSV."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echoseg.manuscript.formats import (
    Table,
    escape_latex,
    prose_to_latex,
    table_to_csv,
    table_to_latex,
    table_to_markdown,
)

NASTY = (
    r"50 % & more_of $x$ #1 {a} \input{/etc/passwd} ~ ^ <b> | `c` -- [d] *e* Müller Łódź Σ Эхо 心 ² 2|A∩B| "
    + "\u202e\x00\n\\\\"
)


@given(st.text())
def test_escaped_text_has_no_command_but_those_of_escaping(text):
    escaped = escape_latex(text)
    symbols = r"\$(-|\\[A-Za-z]+|\^\\circ|\^[23])\$"
    rest = re.sub(rf"\\[{{}}$&#%_]|\\text[a-z]+\{{\}}|\\dots\{{\}}|{symbols}|\{{[]*[-]\}}", "", escaped)
    assert not set(rest) & set('\\{}$&#%_^~<>|"`[]*\n')
    assert all(character.isprintable() for character in escaped)


def test_text_is_escaped_as_it_reads():
    assert escape_latex("A_1 & 50 %") == r"A\_1 \& 50 \%"
    assert escape_latex("Müller −1.5 to 2 × σ²") == r"Müller $-$1.5 to 2 $\times$ $\sigma$$^2$"
    assert escape_latex("Σ 心") == r"$\Sigma$ ?"
    assert prose_to_latex("see `a_b` [AUTHOR: why?] now") == r"see \texttt{a\_b} \textbf{{[}AUTHOR: why?{]}} now"


def test_a_table_keeps_its_cells():
    table = Table("t", "A table.", ["name", "value"], [["a|b", "1"], ["c,d", "2"]])
    assert list(csv.reader(io.StringIO(table_to_csv(table)))) == [["name", "value"], ["a|b", "1"], ["c,d", "2"]]
    assert table_to_markdown(table).splitlines()[2:] == [
        "| name | value |",
        "|---|---:|",
        "| a\\|b | 1 |",
        "| c,d | 2 |",
    ]
    latex = table_to_latex(table)
    assert r"a\textbar{}b & 1 \\" in latex
    assert latex.index(r"\toprule") < latex.index("name & value") < latex.index(r"\midrule") < latex.index("c,d & 2")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_nasty_cells_compile(tmp_path):
    cells = [[NASTY, "[x]", "*"], ["[AUTHOR: a_b %]", r"\\", "`--`"]]
    short, long = Table("s", NASTY, ["a", "b", "c"], cells), Table("l", NASTY, ["a", "b", "c"], cells, (0.4, 0.2, 0.2))
    packages = r"\usepackage[T1]{fontenc}\usepackage{booktabs,array,longtable,textcomp,adjustbox}"
    body = table_to_latex(short) + table_to_latex(long)
    text = rf"\documentclass{{article}}{packages}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "t.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
