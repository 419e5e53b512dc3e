"""The CLAIM checklist of a run: what the run knows, and what the author must add.

The items are those of Tejani et al., "Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 Update",
Radiology: Artificial Intelligence 6(4), e240300, 2024, https://doi.org/10.1148/ryai.240300.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from echoseg.manuscript.facts import RunFacts
from echoseg.manuscript.formats import AUTHOR, Table
from echoseg.manuscript.measures import measures_in_words
from echoseg.manuscript.methods import methods_sections
from echoseg.metrics.overlap import POOR_DICE
from echoseg.report.licences import SYNTHETIC
from echoseg.utils.words import counted

ITEMS = (
    "Title: identified as a study of AI methodology, with the category of technology",
    "Abstract: summary of study design, methods, results and conclusions",
    "Introduction: scientific or clinical background, with the intended use and role of the AI approach",
    "Introduction: aims, objectives and hypotheses of the study",
    "Study design: prospective or retrospective",
    "Study design: goal of the study",
    "Data: sources",
    "Data: inclusion and exclusion criteria",
    "Data: preprocessing",
    "Data: selection of subsets",
    "Data: de-identification methods",
    "Data: how missing data were handled",
    "Data: image acquisition protocol",
    "Reference standard: methods used to obtain it",
    "Reference standard: rationale for choosing it",
    "Reference standard: source of the annotations",
    "Reference standard: annotation of the test set",
    "Reference standard: inter- and intrarater variability of what the annotators describe",
    "Data partitions: how data were assigned to them",
    "Data partitions: level at which they are disjoint",
    "Testing data: intended sample size",
    "Model: detailed description",
    "Model: software libraries, frameworks and packages",
    "Model: initialization of parameters",
    "Training: details of the approach",
    "Training: how the final model was selected",
    "Training: ensembling techniques",
    "Evaluation: metrics of model performance",
    "Evaluation: statistical measures of significance and uncertainty",
    "Evaluation: robustness or sensitivity analysis",
    "Evaluation: methods for explainability or interpretability",
    "Evaluation: on internal data",
    "Evaluation: testing on external data",
    "Evaluation: clinical trial registration",
    "Results, data: numbers of patients or examinations included and excluded",
    "Results, data: demographic and clinical characteristics of the cases in each partition",
    "Results, performance: metrics and measures of statistical uncertainty",
    "Results, performance: estimates of diagnostic performance and their precision",
    "Results, performance: failure analysis of incorrect results",
    "Discussion: limitations of the study",
    "Discussion: implications for practice, with intended use or clinical role",
    "Other: reference to the full study protocol or to further technical details",
    "Other: availability of software, trained model and data",
    "Other: sources of funding and other support; role of funders",
)
"""The 44 items in short; item N is at N - 1."""
_TODO = {
    1: "name deep learning in the title",
    2: "abstract",
    3: "background, intended use and role",
    4: "aims and hypotheses",
    5: "prospective or retrospective",
    6: "goal, such as model creation or feasibility",
    8: "criteria for patients",
    11: "de-identification",
    13: "scanners and acquisition",
    14: "how the contours were traced",
    15: "why tracings are the reference",
    16: "who traced, with which training and tool",
    17: "whether the test set was traced in another way",
    18: "tracings by several observers",
    21: "how the size of the test set was determined",
    30: "robustness",
    34: "registration, or not applicable",
    36: "age, sex and diagnoses",
    38: "diagnostic performance, or not applicable",
    41: "implications",
    42: "protocol",
    44: "funding",
}
"""Item → what the author must write; the run knows nothing of it."""

_SYNTHETIC = {
    11: "Not applicable: the images are synthetic.",
    13: "Not applicable: the images are synthetic.",
    14: "The contours are those of a simulated observer who traces the synthetic ventricle.",
    16: "The simulated observer.",
    17: "As in the other splits.",
    36: "Not applicable: the images are synthetic.",
}
"""Item → what is true of synthetic data."""


def claim_table(facts: RunFacts, splits: Sequence[str], card: Mapping[str, Sequence[str]]) -> Table:
    """The checklist as a table: item, title, and what the run knows or a mark for the author.

    Args:
        facts: The facts of the run.
        splits: The splits whose results are shown.
        card: The sections of the run's model card.
    """
    known = _known(facts, splits, card)
    rows = []
    for number, title in enumerate(ITEMS, start=1):
        parts = [known.get(number, "")]
        if number in _TODO and not (number in known and number in _SYNTHETIC):
            parts.append(f"{AUTHOR} {_TODO[number]}]")
        rows.append([str(number), title, " ".join(filter(None, parts))])
    caption = (
        "CLAIM 2024 (Tejani et al., Radiology: Artificial Intelligence 6(4), e240300, 2024), items in short, filled in"
        " with what the run knows. Check each item against the original."
    )
    return Table("claim", caption, ["item", "what to report", "in this study"], rows, widths=(0.06, 0.33, 0.53))


def _known(facts: RunFacts, splits: Sequence[str], card: Mapping[str, Sequence[str]]) -> dict[int, str]:
    """Item → what the run knows of it."""
    methods = methods_sections(facts, splits)
    config, training = facts.run.config, methods["Training"]
    known = {
        7: f"{facts.data_title[0].upper()}{facts.data_title[1:]}.",
        9: " ".join(methods["Preprocessing"]),
        10: "All images of the training split were used."
        if config.images is None
        else f"{config.images} training images were drawn at random.",
        12: "Files, frames and rows that cannot be used are left out; figure and table of the data give their numbers.",
        19: methods["Data"][-1],
        20: f"Partitions are disjoint by {config.split_by}.",
        22: " ".join(methods["Network"]),
        23: next((text for text in training if text.startswith("The software was")), ""),
        24: next((text for text in training if text.startswith("Training started")), "").split(" and ran")[0] + ".",
        25: " ".join(training),
        26: next(text for text in training if text.startswith("The weights of")),
        27: "No ensemble." if config.folds is None else f"The mean of the logits of {config.folds} networks.",
        28: methods["Evaluation"][0],
        29: "95 % confidence intervals by a bootstrap over patients; no test of significance.",
        31: "Attention maps." if config.attention else "None.",
        32: _tested(facts, splits, elsewhere=False),
        33: _tested(facts, splits, elsewhere=True),
        35: "See the flow chart and the table of the data.",
        37: _results(facts, splits),
        39: _failures(facts, splits),
        40: " ".join(card["Limits"]),
        43: f"{AUTHOR} where code, weights and data are] {' '.join(card['Licence'])}",
    }
    if facts.run.data == SYNTHETIC:
        known |= _SYNTHETIC
    return known


def _tested(facts: RunFacts, splits: Sequence[str], *, elsewhere: bool) -> str:
    shown = [split for split in splits if (split in facts.elsewhere) == elsewhere]
    if not shown:
        return f"None. {AUTHOR} testing on external data, or why there is none]" if elsewhere else "None."
    counts = [
        f"`{split}`: {values['images']} images of {counted(values['patients'], 'patient')}"
        for split in shown
        for values in [facts.run.metrics[split]]
    ]
    return f"{'; '.join(counts)}."


def _results(facts: RunFacts, splits: Sequence[str]) -> str:
    parts = [f"`{split}`: {measures_in_words(facts.run.metrics[split])}" for split in splits]
    return f"{'. '.join(parts)}." if parts else f"{AUTHOR} results]"


def _failures(facts: RunFacts, splits: Sequence[str]) -> str:
    parts = []
    for split in splits:
        images = facts.run.table(f"images_{split}.csv")
        if images is not None and len(images):
            poor, empty = int((images["dice"] < POOR_DICE).sum()), facts.run.metrics[split]["empty_predictions"]
            parts.append(
                f"`{split}`: {poor} of {len(images)} images have a Dice below {POOR_DICE}; {empty} predictions are"
                " empty"
            )
    return f"{'; '.join(parts)}. {AUTHOR} what went wrong in them]" if parts else f"{AUTHOR} failures]"
