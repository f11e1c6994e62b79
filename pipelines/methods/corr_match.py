"""Correlation matching: the student's logits follow the teacher's in value and in order, whatever their scale."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.maths.classes import together, wide
from pipelines.maths.correlation import pearson, standardise
from pipelines.maths.divergences import entropy
from pipelines.method import LOGITS, Needs, masked_log_softmax

NEEDS = Needs(signals=(LOGITS,))


class Options(PluginOptions):
    """a (1 - rho(z_s, z_t)) + b (1 - rho(R(z_s), R(z_t))), rho Pearson, R a soft rank (after Niu et al.: Efficient and
    Robust Knowledge Distillation from a Stronger Teacher Based on Correlation Matching, 2024).

    The paper's body could not be read; from its abstract come the two correlations on standardised logits and weights
    that follow the difficulty of a row. OUR reconstruction, not the paper's:
        R(z)_i = sum_{j != i} sigmoid((n_i - n_j) / softness), n the logits standardised over the known classes
        h = H(softmax z_t) / log C;  (a, b) = strength (1 - h, h) for `easy_by_value`, swapped for `easy_by_rank`,
        strength (1, 1) for `none`
    Zero under any positive affine change of either side's logits. Per row. Cost: C^2 numbers per row for the ranks.
    """

    kind: Literal["corr_match"] = "corr_match"
    strength: Annotated[float, Field(gt=0)] = 1.0
    softness: Annotated[float, Field(gt=0)] = 0.1
    difficulty: Literal["none", "easy_by_value", "easy_by_rank"] = "easy_by_value"


def loss(student_logits: Tensor, teacher_logits: Tensor, class_mask: Tensor, options: Options) -> Tensor:
    """Returns losses [..., B] of logits [..., B, C]; a constant row has no correlation: it costs a + b, slope 0."""
    student, teacher = together(wide(student_logits), wide(teacher_logits))
    mask = class_mask.expand_as(student)
    student_n, teacher_n = (standardise(z, mask, freedom=0, eps=1e-7) for z in (student, teacher))
    value = 1 - pearson(student_n, teacher_n, mask)
    student_rank, teacher_rank = (_soft_rank(n, mask, options.softness) for n in (student_n, teacher_n))
    order = 1 - pearson(student_rank, teacher_rank, mask)
    if options.difficulty == "none":
        return options.strength * (value + order)
    classes = mask.sum(-1).clamp_min(2).to(value.dtype)
    hard = entropy(masked_log_softmax(teacher, mask)) / classes.log()
    if options.difficulty == "easy_by_rank":
        value, order = order, value
    return options.strength * ((1 - hard) * value + hard * order)


def _soft_rank(values: Tensor, mask: Tensor, softness: float) -> Tensor:
    above = torch.sigmoid((values.unsqueeze(-1) - values.unsqueeze(-2)) / softness)
    return torch.where(mask.unsqueeze(-2), above, 0.0).sum(-1)
