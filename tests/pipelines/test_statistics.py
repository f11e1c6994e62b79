"""The paired interval against scipy and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from foundation.errors import DataError
from pipelines.statistics import paired_interval


@pytest.mark.parametrize("count", [2, 3, 10])
def test_equals_scipy(count: int) -> None:
    draw = np.random.RandomState(count)
    a, b = draw.normal(size=count), draw.normal(size=count) + 0.5
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    got = paired_interval(a.tolist(), b.tolist())
    assert got.difference == pytest.approx(float(np.mean(a - b)))
    assert (got.low, got.high) == pytest.approx((expected.low, expected.high))


def test_edges() -> None:
    assert paired_interval([3.0], [1.0]) == (2.0, -math.inf, math.inf)
    same = paired_interval([2.0, 3.0], [1.0, 2.0])
    assert same == (1.0, 1.0, 1.0) and not same.includes_zero
    assert paired_interval([1.0, -1.0], [0.0, 0.0]).includes_zero
    for a, b in (([], []), ([1.0], [])):
        with pytest.raises(DataError):
            paired_interval(a, b)
