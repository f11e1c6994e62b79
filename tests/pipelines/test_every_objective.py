"""Every method and weighting that a configuration may choose trains a student; the others are refused by the check."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest

from foundation import registry
from foundation.errors import ConfigError
from orchestrator.config.crosschecks import signals_can_be_given
from pipelines.loop import train
from tests.pipelines.toy import job, objective, world

METHODS = [name for name in registry.names("method") if name != "cross_entropy"]
WEIGHTINGS = registry.names("weighting")
OPTIONS: dict[str, dict[str, Any]] = {"agre": {"biased": "one"}, "coverage": {"covering": "one"}}
WEIGHTS = {"fixed": {"weights": {"one": 1.0, "two": 2.0, "three": 0.0}}}


def refused(**term: Any) -> list[str]:
    tree = {"objective": {"terms": {"distill": {"rows": "transfer", "method": "kl"} | term}}}
    return [finding.found for finding in signals_can_be_given(tree, frozenset())]


def losses(**distill: Any) -> dict[str, float]:
    *_, last = train(job(config=objective(**distill)), world())
    return last.losses


@pytest.mark.parametrize("name", METHODS)
def test_a_method_trains_or_is_refused(name: str) -> None:
    sees = next(iter(inspect.signature(registry.load("method", name).loss).parameters))
    assert bool(refused(method=name)) == (sees == "batch")
    if sees != "batch":
        assert math.isfinite(losses(method={"kind": name})["total"])


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_a_weighting_trains_or_is_refused(name: str) -> None:
    options = {"kind": name} | OPTIONS.get(name, {}) | WEIGHTS.get(name, {})
    if name in ("meta_weights", "mirror_descent"):
        assert refused(weighting=options) == [name]
    else:
        assert refused(weighting=options) == []
        assert math.isfinite(losses(weighting=options)["total"])


def test_what_compares_rows_needs_all_of_them() -> None:
    data = world(absent={"one": (3,)}, missing="renormalise")
    with pytest.raises(ConfigError, match="compares the rows"):
        list(train(job(config=objective(method="dist")), data))
