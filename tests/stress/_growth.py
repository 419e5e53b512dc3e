"""How fast something grows with the work done; what the stress tests of threads and over long runs share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MAX_LOOKS = 1000  # so that the pairs of a long run fit into memory


def growth_rate(done: Sequence[float], amounts: Sequence[float]) -> float:
    """Slope of a line through amounts that were counted while work was done: the median over all pairs (Theil, Sen).

    A single count can be off by one: a thread that was joined is still ending, a process has just started. Such counts
    are few and move no median. What each piece of work leaves behind is in all later counts, and does.
    """
    step = -(-len(done) // MAX_LOOKS)
    work, found = (np.asarray(values, dtype=np.float64)[::step] for values in (done, amounts))
    between, rises = (np.subtract.outer(values, values) for values in (work, found))
    return float(np.median(rises[between > 0] / between[between > 0]))
