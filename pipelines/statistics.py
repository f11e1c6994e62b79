"""Statistics of comparisons: students are compared seed by seed, so differences are paired."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from foundation.errors import DataError


class Interval(NamedTuple):
    """A mean difference a - b and its interval."""

    difference: float
    low: float
    high: float

    @property
    def includes_zero(self) -> bool:
        return self.low <= 0 <= self.high


def paired_interval(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Interval:
    """Returns mean(a - b) with Student's t interval over the pairs; one pair gives an infinite interval.

    Raises `DataError` for unpaired or empty samples.
    """
    if len(a) != len(b) or not len(a):
        raise DataError("Paired samples must have the same length.", expected=len(a), found=len(b))
    differences = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    mean = float(differences.mean())
    if len(differences) == 1:
        return Interval(mean, -math.inf, math.inf)
    # scipy.special alone loads ten times faster than scipy.stats.
    from scipy.special import stdtrit

    quantile = float(stdtrit(len(differences) - 1, 0.5 + level / 2))
    margin = quantile * float(differences.std(ddof=1)) / math.sqrt(len(differences))
    return Interval(mean, mean - margin, mean + margin)
