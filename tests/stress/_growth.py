"""Measures growth with the amount of work; used by `threads.py` and `soak.py`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MAX_SAMPLES = 1000  # so that all pairs of a long run fit into memory


def growth_rate(done: Sequence[float], amounts: Sequence[float]) -> float:
    """The slope of amounts against work done: the median slope over all pairs of samples.

    A single sample can be off by one, for example while a joined thread is still ending. Few such samples do not change
    the median. A leak is in all later samples and does change it.

    Source: Sen, "Estimates of the regression coefficient based on Kendall's tau", J Am Stat Assoc 63, 1968.

    Args:
        done: The work done at each sample.
        amounts: What was measured at each sample.
    """
    step = -(-len(done) // MAX_SAMPLES)
    work, values = (np.asarray(samples, dtype=np.float64)[::step] for samples in (done, amounts))
    work_differences, differences = (np.subtract.outer(samples, samples) for samples in (work, values))
    later = work_differences > 0
    return float(np.median(differences[later] / work_differences[later]))
