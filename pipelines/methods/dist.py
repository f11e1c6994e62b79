"""DIST: the student's probabilities need only correlate with the teacher's, within rows and within classes."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.maths.classes import share_out, together
from pipelines.maths.correlation import pearson
from pipelines.method import LOGITS, Needs, masked_log_softmax

NEEDS = Needs(signals=(LOGITS,))
SPANS_BATCH = True


class Options(PluginOptions):
    """beta (1 - rho over classes, per row) + gamma (1 - mean_c rho over rows, per class), rho = Pearson correlation
    of probabilities (Huang et al.: Knowledge Distillation from A Stronger Teacher, NeurIPS 2022, eq. 8-10).

    1e-8 is added to the product of norms, so a constant row or class costs 1 (slope 0). The class part belongs to the
    batch: each row carries it whole, so the mean over rows is the paper's value. tau^2 comes from the fusion.
    Of dense maps [N, C, H, W] every pixel is a row (`pixels_as_rows`).
    Data parallel: the class part is a statistic of the rows given in one call.
    """

    kind: Literal["dist"] = "dist"
    beta: Annotated[float, Field(ge=0)] = 1.0
    gamma: Annotated[float, Field(ge=0)] = 1.0


def loss(student_logits: Tensor, teacher_logits: Tensor, class_mask: Tensor, options: Options) -> Tensor:
    """Returns losses [..., B] of logits [..., B, C]; zero at equal distributions with a batch of varied rows."""
    student, teacher = (masked_log_softmax(z, class_mask).exp() for z in (student_logits, teacher_logits))
    student, teacher = together(student, teacher)
    rows = 1 - pearson(student, teacher, class_mask.expand_as(student))
    everything = torch.ones_like(student, dtype=torch.bool)
    classes = 1 - pearson(student, teacher, everything, dim=-2)
    exists = class_mask.expand_as(student).any(-2)
    column = torch.where(exists, classes, 0.0).sum(-1) / exists.sum(-1).clamp_min(1)
    return options.beta * rows + options.gamma * share_out(column, rows.shape[-1])


def pixels_as_rows(maps_NCHW: Tensor) -> Tensor:
    """Returns [N*H*W, C]: dense predictions as rows of class scores."""
    return maps_NCHW.movedim(1, -1).flatten(0, -2)
