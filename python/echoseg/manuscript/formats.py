"""Tables and text of a paper as LaTeX, Markdown and CSV."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

AUTHOR = "[AUTHOR:"
"""The start of a passage that only the author can write; it ends with "]"."""
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",  # an optional argument after the end of a row
    "]": "{]}",
    "*": "{*}",  # the starred form of the end of a row
    "-": "{-}",  # two in a row would become a dash
    "–": "--",
    "—": "---",
    "−": "$-$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "°": r"$^\circ$",
    "²": r"$^2$",
    "³": r"$^3$",
    "∩": r"$\cap$",
    "∪": r"$\cup$",
    "→": r"$\rightarrow$",
    "µ": r"$\mu$",
    "Σ": r"$\Sigma$",
    "γ": r"$\gamma$",
    "σ": r"$\sigma$",
    "…": r"\dots{}",
}
_LAST_LATIN = 0x17F  # the characters up to here have glyphs in the T1 encoding


class Table(NamedTuple):
    """A table of a paper.

    Attributes:
        name: The name of its files, without an ending.
        caption: What it shows, a sentence or more.
        head: The titles of the columns.
        rows: The cells of each row: prose, see `prose_to_latex`, if there are `widths`, else plain text, of which the
            first cell is aligned to the left and the others to the right.
        widths: The widths of the columns of a table that may be longer than a page, as shares of the text's width.
    """

    name: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    widths: Sequence[float] = ()


def escape_latex(text: str) -> str:
    """LaTeX that shows any text, in one line, with the fonts of pdflatex's T1 encoding.

    A character without a glyph there is replaced by its nearest Latin letters, or by a question mark.
    """
    text = unicodedata.normalize("NFC", re.sub(r"\s+", " ", text))
    return "".join(_escape_character(character) for character in text)


def _escape_character(character: str) -> str:
    if character in _LATEX:
        return _LATEX[character]
    printable = character.isprintable()
    if printable and (character.isascii() or (0xC0 <= ord(character) <= _LAST_LATIN and character.isalpha())):
        return character
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return "".join(_LATEX.get(letter, letter) for letter in plain if letter.isprintable()) or "?"


def prose_to_latex(text: str) -> str:
    """LaTeX of a sentence in which code is in backticks and passages for the author are in brackets; see `AUTHOR`."""
    parts = re.split(r"(`[^`]*`|\[AUTHOR:[^\]]*\])", text)
    return "".join(_mark_up(part) for part in parts)


def _mark_up(part: str) -> str:
    if part.startswith(AUTHOR):
        return rf"\textbf{{{escape_latex(part)}}}"
    if part.startswith("`") and part.endswith("`") and len(part) > 1:
        return rf"\texttt{{{escape_latex(part[1:-1])}}}"
    return escape_latex(part)


def table_to_latex(table: Table) -> str:
    """LaTeX of a table, with the packages booktabs and, according to its kind, adjustbox or array and longtable."""
    convert = prose_to_latex if table.widths else escape_latex
    head, *rows = (" & ".join(map(convert, row)) + r" \\" for row in (table.head, *table.rows))
    caption = rf"\caption{{{prose_to_latex(table.caption)}}}"
    if table.widths:
        columns = "".join(rf">{{\raggedright\arraybackslash}}p{{{width:g}\linewidth}}" for width in table.widths)
        start = [
            rf"\begin{{longtable}}{{{columns}}}",
            caption + r" \\",
            r"\toprule",
            head,
            r"\midrule",
            r"\endfirsthead",
        ]
        later = [r"\toprule", head, r"\midrule", r"\endhead"]
        return "\n".join([*start, *later, *rows, r"\bottomrule", r"\end{longtable}", ""])
    columns = "l" + "r" * (len(table.head) - 1)
    start = [r"\begin{table}[!htbp]", r"\centering", caption, r"\begin{adjustbox}{max width=\linewidth}"]
    body = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}"]
    return "\n".join([*start, *body, r"\end{adjustbox}", r"\end{table}", ""])


def table_to_markdown(table: Table) -> str:
    """A table as Markdown, after its caption."""
    rows = [[_escape_cell(cell) for cell in row] for row in (table.head, *table.rows)]
    align = "---" if table.widths else "---:"
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, f"|{'|'.join(['---', *[align] * (len(table.head) - 1)])}|")
    return "\n".join([f"{table.caption}\n", *lines, ""])


def _escape_cell(cell: str) -> str:
    return re.sub(r"([\\|<>])", r"\\\1", " ".join(cell.split()))


def table_to_csv(table: Table) -> str:
    """A table as CSV, without its caption."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([table.head, *table.rows])
    return buffer.getvalue()
