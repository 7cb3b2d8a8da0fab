"""Student's interval of a mean, for the tables of the benchmarks."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from scipy.stats import t


def interval(values: Sequence[float]) -> str:
    """Half of Student's 95 % interval of the mean of ``values``, as ``± half``; empty for fewer than two."""
    if len(values) < 2:
        return ""
    half = t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return f"± {half:.4f}"
