"""Writes the folder with the parts of a paper."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from echoseg.errors import DataError
from echoseg.manuscript.checklist import claim_table
from echoseg.manuscript.facts import RunFacts, read_facts
from echoseg.manuscript.figures import bland_altman_pdf, curves_pdf, dice_figure, flow_pdf
from echoseg.manuscript.formats import escape_latex, prose_to_latex, table_to_csv, table_to_latex, table_to_markdown
from echoseg.manuscript.methods import methods_sections
from echoseg.manuscript.tables import make_tables
from echoseg.report.card import card_sections, model_card
from echoseg.utils.checksum import add_checksum
from echoseg.utils.files import hash_file, new_folder

_RUN_FILE = re.compile(
    r"(config|plan|environment|metrics|calibration|shape|ef_intervals|image_domain)\.(yaml|json)|log\.csv"
    r"|model\.safetensors|(images|volumes|volumes_videos|stacks)_(train|val|test|all)\.csv"
)
"""The files of a run that the manifest lists: others may have names of patients."""
_PREAMBLE = r"""\documentclass[a4paper,10pt]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage{textcomp}
\usepackage[margin=2.2cm]{geometry}
\usepackage{graphicx,booktabs,array,longtable}
\usepackage[export]{adjustbox}
\usepackage[skip=6pt]{caption}
"""


def write_paper(folder: Path, out: Path, *, splits: Sequence[str] | None = None, names: bool = False) -> list[str]:
    """Write the parts of a paper about a run: tables, figures, methods, checklist, model card and manifest.

    The folder has `main.tex`, which includes all parts, `tables/` with each table as LaTeX, CSV and Markdown,
    `figures/` with PDF files, `methods.md` and `methods.tex`, `model_card.md`, and `manifest.json`. Passages that only
    the author can write are marked by "[AUTHOR: …]".

    Args:
        folder: The run folder.
        out: The folder to write; it must not exist.
        splits: The splits whose results are shown; all that were evaluated by default.
        names: Whether names of files, patients and folders may be shown.

    Returns:
        What could not be written, a sentence each.

    Raises:
        DataError: The folder is not a run folder, a file in it is damaged, or a split was not evaluated.
        FileExistsError: `out` exists.
    """
    facts = read_facts(folder, names=names)
    splits = list(facts.run.metrics) if splits is None else splits
    if missing := [split for split in splits if split not in facts.run.metrics]:
        raise DataError(
            f"{folder}: the split {missing[0]!r} was not evaluated; run 'echoseg evaluate --split {missing[0]}' first"
        )
    card = card_sections(facts.run)
    methods = methods_sections(facts, splits)
    tables = [*make_tables(facts, splits), claim_table(facts, splits, card)]
    with new_folder(out) as temporary:
        (temporary / "tables").mkdir()
        (temporary / "figures").mkdir()
        for table in tables:
            for suffix, convert in (("tex", table_to_latex), ("md", table_to_markdown), ("csv", table_to_csv)):
                _write(temporary / "tables" / f"{table.name}.{suffix}", convert(table))
        figures = _draw(facts, splits, temporary / "figures")
        _write(temporary / "methods.md", _sections_markdown(methods))
        _write(temporary / "methods.tex", _sections_latex(methods))
        _write(temporary / "model_card.md", model_card(folder))
        _write(temporary / "model_card.tex", _sections_latex(card))
        _write(temporary / "main.tex", _main(facts, [table.name for table in tables], figures))
        _write(temporary / "manifest.json", json.dumps(add_checksum(_manifest(facts)), indent=2) + "\n")
    return [f"the counts of the data are incomplete: {facts.problem}"] if facts.problem else []


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _draw(facts: RunFacts, splits: Sequence[str], folder: Path) -> dict[str, str]:
    """Draw the figures; returns the caption of each by its name."""
    captions = {}
    if flow_pdf(facts, folder / "flow.pdf"):
        captions["flow"] = "Flow of the data."
    log = facts.run.table("log.csv")
    if log is not None and curves_pdf(log, folder / "curves.pdf"):
        captions["curves"] = "Loss and foreground Dice after each epoch."
    for split in splits:
        images, volumes = (facts.run.table(f"{name}_{split}.csv") for name in ("images", "volumes"))
        if images is not None and len(images):
            dice_figure(images, folder / f"dice_{split}.pdf")
            captions[f"dice_{split}"] = (
                f"Foreground Dice of the images, split {split}: distribution and cumulative share."
            )
        if volumes is not None and bland_altman_pdf(volumes, folder / f"bland_altman_{split}.pdf"):
            captions[f"bland_altman_{split}"] = (
                f"Prediction minus reference, split {split}, with bias (solid), 95 % limits of agreement (dashed) and"
                " their 95 % confidence intervals."
            )
    return captions


def _sections_markdown(sections: Mapping[str, Sequence[str]]) -> str:
    return "\n\n".join(f"## {title}\n\n{' '.join(sentences)}" for title, sentences in sections.items()) + "\n"


def _sections_latex(sections: Mapping[str, Sequence[str]]) -> str:
    return "\n".join(
        f"\\paragraph{{{escape_latex(title)}}}\n{prose_to_latex(' '.join(sentences))}\n"
        for title, sentences in sections.items()
    )


def _main(facts: RunFacts, tables: Sequence[str], figures: Mapping[str, str]) -> str:
    """The LaTeX document that includes all parts."""
    title = escape_latex(f"Segmentation of the {facts.run.structure}: parts of a paper")
    drawn = [
        f"\\begin{{figure}}[!htbp]\n\\centering\n\\includegraphics[max width=\\linewidth]{{figures/{name}.pdf}}\n"
        f"\\caption{{{escape_latex(caption)}}}\n\\end{{figure}}"
        for name, caption in figures.items()
    ]
    results = [f"\\input{{tables/{name}}}" for name in tables if name not in ("settings", "claim")]
    parts = [
        rf"{_PREAMBLE}\title{{{title}}}",
        r"\author{}\date{}",
        r"\begin{document}",
        r"\maketitle",
        r"\section{Methods}",
        r"\input{methods}",
        r"\clearpage",
        r"\section{Results}",
        *results,
        *drawn,
        r"\clearpage",
        r"\section{Settings}",
        r"\input{tables/settings}",
        r"\section{Checklist}",
        r"\input{tables/claim}",
        r"\section{Model card}",
        r"\input{model_card}",
        r"\end{document}",
    ]
    return "\n".join(parts) + "\n"


def _manifest(facts: RunFacts) -> dict[str, Any]:
    """The SHA-256 of the run's files, the versions and the machine, and the hashes of the data."""
    run = facts.run
    folders = [run.folder, *sorted(run.folder.glob("fold-*"))]
    files = [path for folder in folders for path in sorted(folder.iterdir()) if _RUN_FILE.fullmatch(path.name)]
    return {
        "run": run.name,
        "files": {path.relative_to(run.folder).as_posix(): hash_file(path) for path in files},
        "environment": run.environment,
        "data": {
            "name": run.data,
            **{name: facts.data[name] for name in ("source", "files_sha256") if name in facts.data},
        },
    }
