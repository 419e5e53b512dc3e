"""The papers whose experiments `echoseg experiments --paper` repeats. Importing this file imports nothing else."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

PAPERS = {
    "rodriguez": "echoseg.evaluation.rodriguez.repeat_rodriguez",
    "mendoza": "echoseg.evaluation.mendoza.repeat_mendoza",
    "craciun": "echoseg.evaluation.craciun.repeat_craciun",
}
"""First author → the function that repeats the experiments, a `Repeat`."""

Repeat = Callable[..., "dict[str, pd.DataFrame]"]
"""`repeat(data, out, *, scale=1.0, device="auto", write=None, **settings)` trains and evaluates what the paper did.

- `data`: the folder of a data set, or a store; None uses a phantom data set of sufficient size.
- `out`: the folder for the runs and the tables, which must not exist.
- `scale`: shrinks the numbers of images.
- `write`: writes the results of each run into its folder; see `echoseg.evaluation.experiments.run_experiment`.
- `settings`: fields of `Config` that override the settings of the paper.

It returns its tables by title; a table may have a text to print below it in `attrs["note"]`.
"""


def repeat_function(paper: str) -> Repeat:
    """Import the function that repeats the experiments of a paper.

    Args:
        paper: A name in `PAPERS`.
    """
    module, _, name = PAPERS[paper].rpartition(".")
    return getattr(importlib.import_module(module), name)
