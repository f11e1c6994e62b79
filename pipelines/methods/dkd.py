"""Decoupled distillation: how sure of the true class, and how the other classes compare, weighted apart."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.maths.classes import log_mass, true_class
from pipelines.maths.divergences import kl
from pipelines.method import LOGITS, Needs, masked_log_softmax

NEEDS = Needs(labels=True, signals=(LOGITS,))


class Options(PluginOptions):
    """alpha TCKD + beta NCKD (Zhao, Cui, Song, Qiu, Liang: Decoupled Knowledge Distillation, CVPR 2022, eq. 6-7).

    With b = p[y] and the other classes' distribution p^(c | c != y):
        TCKD = b_t log(b_t / b_s) + (1 - b_t) log((1 - b_t) / (1 - b_s))
        NCKD = KL(p^_t || p^_s)
    alpha = 1, beta = 1 - b_t is plain `kl`; a constant beta keeps the other classes alive when the teacher is sure.

    Sum over classes, per row; the fusion gives the T^2 to both parts. The true class is left out exactly (the authors
    add -1000 to its logit) and 1 - b is summed over the other classes, never subtracted. Warm-up belongs to a schedule.
    A row whose label the teacher doesn't know has no target: TCKD is 0 there and NCKD runs over all its classes.
    """

    kind: Literal["dkd"] = "dkd"
    alpha: Annotated[float, Field(ge=0)] = 1.0
    beta: Annotated[float, Field(ge=0)] = 8.0


def loss(
    student_logits: Tensor, teacher_logits: Tensor, class_mask: Tensor, labels_B: Tensor, options: Options
) -> Tensor:
    """Returns losses [..., B] of logits [..., B, C] and labels int64 [B] (-1 = none); zero at equal distributions."""
    target = true_class(labels_B, class_mask)
    others = ~target & class_mask
    log_p, log_q = (masked_log_softmax(z, class_mask) for z in (teacher_logits, student_logits))
    target_part = sum(
        log_mass(log_p, part).exp() * (log_mass(log_p, part) - log_mass(log_q, part)) for part in (target, others)
    )
    other_part = kl(masked_log_softmax(teacher_logits, others), masked_log_softmax(student_logits, others))
    return options.alpha * target_part + options.beta * other_part
