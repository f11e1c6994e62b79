"""Weights written in the configuration, or found by the search."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from foundation.errors import ConfigError
from foundation.model import PluginOptions
from pipelines.method import Needs
from pipelines.teacher_logits import TeacherLogits

NEEDS = Needs()
PER_ROW = False


class Options(PluginOptions):
    """w_k = weights[k] / sum of all; teachers that are not named get 0 and are never read from the cache."""

    kind: Literal["fixed"] = "fixed"
    weights: dict[str, Annotated[float, Field(ge=0)]]

    @model_validator(mode="after")
    def _some_weight(self) -> Options:
        if not sum(self.weights.values()) > 0:
            raise ValueError("at least one weight must be above 0")
        return self


def weights(options: Options, teachers: TeacherLogits | None, labels_B: Tensor | None, names: Sequence[str]) -> Tensor:
    """Returns weights [K, 1]. Raises `ConfigError` when a weight names no teacher of the run."""
    for name in options.weights:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            raise ConfigError(
                "A weight names a teacher that doesn't exist.",
                expected=", ".join(names),
                found=name,
                next_step=f"did you mean {near[0]!r}?" if near else None,
            )
    total = sum(options.weights.values())
    return torch.tensor([[options.weights.get(name, 0.0) / total] for name in names])
