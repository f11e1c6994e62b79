"""Halving's rule on numbers worked out by hand, and what it must never do."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.cluster.halving import Halving


def test_rungs_never_reach_the_last_epoch() -> None:
    assert Halving(40, 10, 3).rungs == [10, 30]
    assert Halving(30, 10, 3).rungs == [10]
    assert Halving(10, 10, 3).rungs == []
    assert Halving(40, None).rungs == []


def test_the_best_third_goes_on() -> None:
    halving = Halving(40, 10, 3)
    assert halving.goes_on("a", 10, 0.5)
    assert not halving.goes_on("b", 10, 0.4)  # two thirds of the way from 0.4 to 0.5
    assert halving.goes_on("c", 10, 0.6)
    assert not halving.goes_on("d", 10, 0.45)
    assert halving.goes_on("e", 7, 0.0), "not a rung"
    assert halving.goes_on("e", 30, 0.0), "the first at its rung"


def test_without_grace_nothing_is_stopped() -> None:
    halving = Halving(40, None)
    assert all(halving.goes_on(str(n), 10, -float(n)) for n in range(20))


def test_an_earlier_attempt_sets_the_standard() -> None:
    fresh, resumed = Halving(40, 10, 3), Halving(40, 10, 3)
    history = {"a": [0.1] * 9 + [0.9] * 31, "b": [0.8] * 10, "c": [None] * 10, "d": [0.7] * 5}
    for name, scores in history.items():
        resumed.remember(name, scores)
        if len(scores) >= 10:
            score = scores[9]
            fresh.goes_on(name, 10, -math.inf if score is None else score)
    fresh.goes_on("a", 30, 0.9)
    assert resumed == fresh
    assert not resumed.goes_on("e", 10, 0.75)


@settings(max_examples=100)
@given(st.lists(st.one_of(st.just(-math.inf), st.floats(-10, 10)), min_size=1, max_size=30))
def test_the_best_so_far_always_goes_on(scores: list[float]) -> None:
    halving, best = Halving(40, 10, 3), -math.inf
    for number, score in enumerate(scores):
        best = max(best, score)
        went_on = halving.goes_on(str(number), 10, score)
        assert went_on or score < best
