"""The search space: which configuration paths vary, and how. Pure: no sampler, no torch.

A path is dotted, with numbers for list positions: `objective.terms.distill.lenses.0.value`. A space is flattened into
named scalar dimensions for a sampler (a simplex becomes one number in [0, 1] per teacher, named `path[teacher]`), and
a point of it, a mapping from these names to values, is applied to a configuration given as plain JSON values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from foundation.errors import ConfigError
from foundation.model import StrictModel
from pipelines.config_path import get_path, plain_copy, set_path

Json = Any
Point = dict[str, Any]


class Uniform(StrictModel):
    """A number between low and high."""

    kind: Literal["uniform"] = "uniform"
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Uniform:
        if not self.low < self.high:
            raise ValueError("low must be below high")
        return self


class LogUniform(Uniform):
    """A positive number between low and high, each factor of ten equally likely."""

    kind: Literal["log_uniform"] = "log_uniform"  # type: ignore[assignment]
    low: Annotated[float, Field(gt=0)]


class Int(StrictModel):
    """A whole number from low to high, both included."""

    kind: Literal["int"] = "int"
    low: int
    high: int

    @model_validator(mode="after")
    def _ordered(self) -> Int:
        if not self.low < self.high:
            raise ValueError("low must be below high")
        return self


class Choice(StrictModel):
    """One of the values."""

    kind: Literal["choice"] = "choice"
    values: Annotated[tuple[str | int | float | bool | None, ...], Field(min_length=1)]


class Simplex(StrictModel):
    """Weights of all teachers that sum to 1, some of them exactly 0.

    One number in [0, 1] per teacher; below `zero_below` it becomes 0; then all are divided by their sum. Where nothing
    is left, the teacher with the largest number (the first of equals) has it all.
    """

    kind: Literal["simplex"] = "simplex"
    zero_below: Annotated[float, Field(ge=0, lt=1)] = 0.0


Dimension = Annotated[Uniform | LogUniform | Int | Choice | Simplex, Field(discriminator="kind")]
SpaceConfig = dict[str, Dimension]


@dataclass(frozen=True)
class Scalar:
    """One dimension for a sampler. `low`/`high` for numbers (both included for int), `values` for a choice."""

    name: str
    kind: Literal["uniform", "log_uniform", "int", "choice"]
    low: float = 0.0
    high: float = 0.0
    values: tuple[Any, ...] = ()


class Space:
    """A space over one configuration.

    Args:
        config: path -> dimension.
        teachers: names of the run's teachers, for every simplex.
    """

    def __init__(self, config: Mapping[str, Any], teachers: Sequence[str]) -> None:
        self.config = dict(config)
        self.teachers = tuple(teachers)

    @property
    def scalars(self) -> list[Scalar]:
        """All scalar dimensions, in order."""
        out: list[Scalar] = []
        for path, dimension in self.config.items():
            if isinstance(dimension, Simplex):
                out += [Scalar(f"{path}[{name}]", "uniform", 0.0, 1.0) for name in self.teachers]
            elif isinstance(dimension, Choice):
                out.append(Scalar(path, "choice", values=dimension.values))
            else:
                out.append(Scalar(path, dimension.kind, dimension.low, dimension.high))
        return out

    def check(self, config: Json) -> None:
        """Raises `ConfigError` for a path that the configuration doesn't have, naming the nearest one."""
        for path, dimension in self.config.items():
            value = get_path(config, path)
            if isinstance(dimension, Simplex) and not isinstance(value, Mapping):
                raise ConfigError(
                    "A simplex needs a mapping of weights.", expected="{teacher: weight}", found=value, where=path
                )

    def apply(self, config: Json, point: Mapping[str, Any]) -> Json:
        """Returns a copy of the configuration at a point. Raises `ConfigError` for unknown or missing names."""
        names = {scalar.name for scalar in self.scalars}
        if odd := sorted(names ^ set(point)):
            raise ConfigError(
                "A point doesn't fit the search space.", expected=", ".join(sorted(names)), found=", ".join(odd)
            )
        out = plain_copy(config)
        for path, dimension in self.config.items():
            get_path(out, path)
            if isinstance(dimension, Simplex):
                raw = {name: float(point[f"{path}[{name}]"]) for name in self.teachers}
                set_path(out, path, simplex_weights(raw, dimension.zero_below))
            else:
                set_path(out, path, int(point[path]) if isinstance(dimension, Int) else point[path])
        return out

    def point_of(self, config: Json) -> Point:
        """The inverse of `apply`: the point at which this configuration lies.

        Numbers outside a dimension's range are moved to its nearest end (a baseline may lie outside the range that is
        searched); weights are scaled so that the largest is 1. Raises `ConfigError` where no point gives the
        configuration: a value that isn't a choice, a weight that the simplex would turn into 0.
        """
        point: Point = {}
        for path, dimension in self.config.items():
            value = get_path(config, path)
            if isinstance(dimension, Simplex):
                point |= self._raw(path, value, dimension)
            elif isinstance(dimension, Choice):
                if value not in dimension.values:
                    raise ConfigError(
                        "A value isn't among the choices.", expected=dimension.values, found=value, where=path
                    )
                point[path] = value
            elif isinstance(value, bool) or not isinstance(value, int | float):
                raise ConfigError("Only a number can vary in a range.", expected="a number", found=value, where=path)
            else:
                point[path] = min(max(value, dimension.low), dimension.high)
        return point

    def mean(self, config: Json, points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Returns configuration path -> the mean of its values over the points, the best of which comes first.

        Logarithmic dimensions have a geometric mean, whole numbers are rounded, weights of a simplex are averaged as
        weights (so the mean may hold small ones that no point of the space has); a choice can't be averaged: the
        first point decides.
        """
        applied = [self.apply(config, point) for point in points]
        return {path: _mean(one, [get_path(tree, path) for tree in applied]) for path, one in self.config.items()}

    def points(self, config: Json) -> dict[str, Point]:
        """Points to try first, by name: equal weights, each teacher alone, each left out; the rest as configured.

        Empty for a space without a simplex; several simplexes move together.
        """
        paths = [path for path, dimension in self.config.items() if isinstance(dimension, Simplex)]
        if not paths:
            return {}
        base = self.point_of(config)
        wanted: dict[str, dict[str, float]] = {"uniform": dict.fromkeys(self.teachers, 1.0)}
        wanted |= {f"alone:{name}": {name: 1.0} for name in self.teachers}
        if len(self.teachers) > 2:
            wanted |= {
                f"without:{name}": {other: 1.0 for other in self.teachers if other != name} for name in self.teachers
            }
        return {
            title: base | {f"{path}[{name}]": raw.get(name, 0.0) for path in paths for name in self.teachers}
            for title, raw in wanted.items()
        }

    def _raw(self, path: str, value: Json, dimension: Simplex) -> Point:
        if not isinstance(value, Mapping) or not set(value) <= set(self.teachers):
            raise ConfigError("A simplex holds weights of teachers.", expected=self.teachers, found=value, where=path)
        top = max((float(weight) for weight in value.values()), default=0.0)
        if not top > 0:
            raise ConfigError("At least one weight must be above 0.", found=value, where=path)
        raw = {name: float(value.get(name, 0.0)) / top for name in self.teachers}
        for name, share in raw.items():
            if 0 < share < dimension.zero_below:
                raise ConfigError(
                    "A weight is so small that the search space turns it into 0.",
                    expected=f"0, or at least {dimension.zero_below} of the largest weight",
                    found=f"{name}: {share:.3g} of the largest",
                    where=path,
                )
        return {f"{path}[{name}]": share for name, share in raw.items()}


def _mean(dimension: Dimension, values: Sequence[Any]) -> Any:
    if isinstance(dimension, Choice):
        return values[0]
    if isinstance(dimension, Simplex):
        return {name: math.fsum(weights[name] for weights in values) / len(values) for name in values[0]}
    if isinstance(dimension, LogUniform):
        return math.exp(math.fsum(math.log(value) for value in values) / len(values))
    mean = math.fsum(values) / len(values)
    return round(mean) if isinstance(dimension, Int) else mean


def simplex_weights(raw: Mapping[str, float], zero_below: float) -> dict[str, float]:
    """Returns weights that sum to 1; see `Simplex`."""
    kept = {name: value if value >= zero_below else 0.0 for name, value in raw.items()}
    total = math.fsum(kept.values())
    if not total > 0:
        best = max(raw, key=lambda name: raw[name])
        return {name: float(name == best) for name in raw}
    return {name: value / total for name, value in kept.items()}
