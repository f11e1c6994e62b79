"""Weighted soft labels: rows on which the student has caught up with the teacher count less."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.maths.classes import pick, true_class
from pipelines.maths.divergences import cross_entropy
from pipelines.method import LOGITS, Needs, masked_log_softmax

NEEDS = Needs(labels=True, signals=(LOGITS,))


class Options(PluginOptions):
    """alpha T^2 w (- sum_c p_c log q_c) at T, w = 1 - exp(- CE(z_s, y) / CE(z_t, y)) at T = 1 and constant.

    Source: Zhou et al., Rethinking Soft Labels for Knowledge Distillation, ICLR 2021.

    w is detached; 1e-7 is added to the teacher's cross-entropy, as in the authors' code. As w is taken at T = 1, the
    temperature is an option here and not the lens, and the T^2 is included. Cross-entropy form: for given w the minimum
    at student = teacher is w times the teacher's entropy. A row without a known label has w = 1.
    """

    kind: Literal["wsld"] = "wsld"
    alpha: Annotated[float, Field(ge=0)] = 2.25
    temperature: Annotated[float, Field(gt=0)] = 2.0


def loss(
    student_logits: Tensor, teacher_logits: Tensor, class_mask: Tensor, labels_B: Tensor, options: Options
) -> Tensor:
    """Returns losses [..., B] of logits [..., B, C] and labels int64 [B] (-1 = none)."""
    weight = caught_up(student_logits, teacher_logits, class_mask, true_class(labels_B, class_mask))
    t = options.temperature
    log_p, log_q = (masked_log_softmax(z / t, class_mask) for z in (teacher_logits, student_logits))
    return options.alpha * t * t * weight * cross_entropy(log_p, log_q)


@torch.no_grad()
def caught_up(student_logits: Tensor, teacher_logits: Tensor, class_mask: Tensor, target: Tensor) -> Tensor:
    """Returns w [..., B] in [0, 1], constant: near 0 where the student's cross-entropy is far below the teacher's."""
    student_ce, teacher_ce = (
        -pick(masked_log_softmax(z, class_mask), target) for z in (student_logits, teacher_logits)
    )
    return torch.where(target.any(-1), -torch.expm1(-student_ce / (teacher_ce + 1e-7)), 1.0)
