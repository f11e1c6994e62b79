"""Weights that step against the slope of a validation loss and stay on the simplex."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.method import Needs
from pipelines.student_weighting import Moment
from pipelines.teacher_logits import TeacherLogits

NEEDS = Needs()
PER_ROW = False
SEES = ("slope",)


class Options(PluginOptions):
    """w_k <- w_k exp(-step g_k) / sum_j w_j exp(-step g_j), g the slope of the outer loss in w: exponentiated gradient,
    the step of weighted mutual learning (Iyer 2024, after Zhang et al., NeurIPS 2022).

    Only the step: the slope comes from the caller (the released code computes it wrongly: its second-order term is
    detached to zero, its sign flipped and g clamped to [0, clip]; follow the paper). Without a slope the weights stay
    as they are, and without weights they start equal. A weight of 0 stays 0.
    """

    kind: Literal["mirror_descent"] = "mirror_descent"
    step: Annotated[float, Field(gt=0)] = 0.25


@torch.no_grad()
def weights(
    options: Options,
    teachers: TeacherLogits | None,
    labels_B: Tensor | None,
    names: Sequence[str],
    moment: Moment,
) -> Tensor:
    """Returns weights [K, 1] after one step; computed in log space, so no slope overflows."""
    before_K = torch.full((len(names),), 1.0 / len(names)) if moment.weights_K is None else moment.weights_K
    slope_K = torch.zeros_like(before_K) if moment.slope_K is None else moment.slope_K
    return torch.softmax(before_K.log() - options.step * slope_K, dim=0).unsqueeze(1)
