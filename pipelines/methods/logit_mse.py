"""Squared distance between logits."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.maths.classes import wide
from pipelines.method import LOGITS, Needs

NEEDS = Needs(signals=(LOGITS,))


class Options(PluginOptions):
    """mean_c (z_s,c - z_t,c)^2 over the known classes (Ba and Caruana 2014; the limit of `kl` at high T).

    Mean over classes. No shift invariance: the logits' common level is part of the target. With the lens `temperature`
    the logits arrive divided by T and a fusion multiplies by T^2, so T drops out.
    """

    kind: Literal["logit_mse"] = "logit_mse"


def loss(student_logits: Tensor, teacher_logits: Tensor, class_mask: Tensor, options: Options) -> Tensor:
    """Returns mean squared differences [..., B] of logits [..., B, C]; zero only at equal logits."""
    gap = torch.where(class_mask, wide(student_logits) - wide(teacher_logits), 0.0)
    return gap.square().sum(-1) / class_mask.sum(-1).clamp_min(1)
