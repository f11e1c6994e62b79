"""The search space: flattening, applying, its inverse, first points, and paths that don't exist."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from foundation.errors import ConfigError
from pipelines.config_path import all_paths, get_path
from pipelines.space import Choice, Int, LogUniform, Simplex, Space, SpaceConfig, simplex_weights

TEACHERS = ("one", "two", "three")
CONFIG: dict[str, Any] = {
    "objective": {
        "terms": {
            "distill": {
                "lenses": [{"kind": "temperature", "value": 2.0}],
                "weighting": {"kind": "fixed", "weights": {"one": 3.0, "two": 1.5}},
            },
            "labels": {"share": 0.15},
        }
    },
    "train": {"epochs": 10, "optimizer": {"kind": "adam"}},
}
T = "objective.terms.distill.lenses.0.value"
W = "objective.terms.distill.weighting.weights"
SPACE = {
    T: {"kind": "log_uniform", "low": 1, "high": 8},
    W: {"kind": "simplex", "zero_below": 0.2},
    "objective.terms.labels.share": {"kind": "uniform", "low": 0.02, "high": 0.6},
    "train.epochs": {"kind": "int", "low": 5, "high": 20},
    "train.optimizer.kind": {"kind": "choice", "values": ["adam", "sgd"]},
}


def space(config: dict[str, Any] | None = None) -> Space:
    return Space(TypeAdapter(SpaceConfig).validate_python(config or SPACE), TEACHERS)


def test_dimensions_by_name() -> None:
    assert [(s.name, s.kind, s.low, s.high, s.values) for s in space().scalars] == [
        (T, "log_uniform", 1, 8, ()),
        (f"{W}[one]", "uniform", 0, 1, ()),
        (f"{W}[two]", "uniform", 0, 1, ()),
        (f"{W}[three]", "uniform", 0, 1, ()),
        ("objective.terms.labels.share", "uniform", 0.02, 0.6, ()),
        ("train.epochs", "int", 5, 20, ()),
        ("train.optimizer.kind", "choice", 0, 0, ("adam", "sgd")),
    ]


def test_apply_puts_values_where_they_belong_and_nothing_else() -> None:
    point = space().point_of(CONFIG) | {T: 4.0, f"{W}[one]": 0.1, f"{W}[two]": 0.3, f"{W}[three]": 0.6}
    got = space().apply(CONFIG, point | {"train.epochs": 7, "train.optimizer.kind": "sgd"})
    assert get_path(got, T) == 4.0
    assert get_path(got, W) == pytest.approx({"one": 0.0, "two": 1 / 3, "three": 2 / 3})
    assert got["train"] == {"epochs": 7, "optimizer": {"kind": "sgd"}}
    assert get_path(CONFIG, T) == 2.0 and get_path(CONFIG, W) == {"one": 3.0, "two": 1.5}


def test_point_of_is_the_inverse() -> None:
    point = space().point_of(CONFIG)
    assert point == {
        T: 2.0,
        f"{W}[one]": 1.0,
        f"{W}[two]": 0.5,
        f"{W}[three]": 0.0,
        "objective.terms.labels.share": 0.15,
        "train.epochs": 10,
        "train.optimizer.kind": "adam",
    }
    assert space().point_of(space().apply(CONFIG, point)) == point


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.floats(0, 0.9))
@settings(max_examples=80)
def test_simplex_sums_to_one_and_repeats_itself(raw: list[float], zero_below: float) -> None:
    weights = simplex_weights(dict(zip(TEACHERS, raw, strict=True)), zero_below)
    assert sum(weights.values()) == pytest.approx(1) and min(weights.values()) >= 0
    for name, value in zip(TEACHERS, raw, strict=True):
        if value < zero_below and max(raw) >= zero_below:
            assert weights[name] == 0.0
    if max(raw) < zero_below:
        assert weights[TEACHERS[raw.index(max(raw))]] == 1.0


def test_first_points_are_uniform_each_alone_each_left_out() -> None:
    points = space().points(CONFIG)
    assert list(points) == ["uniform", *(f"alone:{n}" for n in TEACHERS), *(f"without:{n}" for n in TEACHERS)]
    weights = {title: get_path(space().apply(CONFIG, point), W) for title, point in points.items()}
    assert weights["uniform"] == pytest.approx(dict.fromkeys(TEACHERS, 1 / 3))
    assert weights["alone:two"] == {"one": 0.0, "two": 1.0, "three": 0.0}
    assert weights["without:one"] == {"one": 0.0, "two": 0.5, "three": 0.5}
    assert all(point[T] == 2.0 for point in points.values())
    assert space({T: SPACE[T]}).points(CONFIG) == {}


def test_a_path_that_does_not_exist_names_the_nearest() -> None:
    for wrong in ("objective.terms.distil.lenses.0.value", "objective.terms.distill.lenses.1.value"):
        with pytest.raises(ConfigError) as caught:
            space({wrong: SPACE[T]}).check(CONFIG)
        assert f"did you mean '{T}'?" in str(caught.value)
    space().check(CONFIG)
    with pytest.raises(ConfigError, match="mapping of weights"):
        space({T: SPACE[W]}).check(CONFIG)
    assert T in set(all_paths(CONFIG))


def test_points_that_do_not_fit_are_refused() -> None:
    point = space().point_of(CONFIG)
    with pytest.raises(ConfigError, match="doesn't fit"):
        space().apply(CONFIG, point | {"else": 1})
    with pytest.raises(ConfigError, match="doesn't fit"):
        space().apply(CONFIG, {name: value for name, value in point.items() if name != T})


def test_what_no_point_can_give_is_refused_and_ranges_are_clipped() -> None:
    small = {"objective": {"terms": {"distill": {"weighting": {"weights": {"one": 1.0, "two": 0.1}}}}}}
    with pytest.raises(ConfigError, match="turns it into 0"):
        space({W: SPACE[W]}).point_of(small)
    with pytest.raises(ConfigError, match="choices"):
        space({"train.optimizer.kind": {"kind": "choice", "values": ["sgd"]}}).point_of(CONFIG)
    assert space({T: {"kind": "uniform", "low": 3, "high": 8}}).point_of(CONFIG) == {T: 3.0}


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "uniform", "low": 2, "high": 1},
        {"kind": "log_uniform", "low": 0, "high": 1},
        {"kind": "log_uniform", "low": 2, "high": 1},
        {"kind": "int", "low": 2, "high": 2},
        {"kind": "choice", "values": []},
        {"kind": "simplex", "zero_below": 1},
        {"kind": "normal"},
    ],
)
def test_odd_dimensions_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        space({"x": bad})


def test_tuples_of_a_dumped_model_become_lists() -> None:
    assert space({"a.0": {"kind": "int", "low": 1, "high": 3}}).apply({"a": (1, 2)}, {"a.0": 3}) == {"a": [3, 2]}


def test_mean_of_points() -> None:
    config = {"t": 1.0, "n": 3, "m": "x", "w": {"a": 1.0, "b": 1.0}}
    space = Space(
        {
            "t": LogUniform(low=0.1, high=100.0),
            "n": Int(low=0, high=9),
            "m": Choice(values=("x", "y")),
            "w": Simplex(zero_below=0.5),
        },
        ["a", "b"],
    )
    points = [
        {"t": 1.0, "n": 2, "m": "y", "w[a]": 1.0, "w[b]": 0.1},
        {"t": 16.0, "n": 5, "m": "x", "w[a]": 1.0, "w[b]": 1.0},
    ]
    assert space.mean(config, points) == {"t": pytest.approx(4.0), "n": 4, "m": "y", "w": {"a": 0.75, "b": 0.25}}
