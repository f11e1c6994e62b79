"""Normalised distillation: the teacher's trust in the true class, and cross-entropy over the renormalised others."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.maths.classes import pick, true_class
from pipelines.maths.divergences import cross_entropy
from pipelines.method import LOGITS, Needs, masked_log_softmax

NEEDS = Needs(labels=True, signals=(LOGITS,))


class Options(PluginOptions):
    """- p_t[y] log p_s[y] - gamma T^2 sum_{c != y} q_t,c log q_s,c (Yang et al.: From Knowledge Distillation to
    Self-Knowledge Distillation, ICCV 2023, eq. 7-8), q = softmax(z / T) over the classes other than y.

    The target part is always at T = 1, so the temperature is an option here and not the lens; the T^2 is included.
    Cross-entropies: not zero at student = teacher, and there is no minimum there either, as the target part goes on
    pulling towards the label. Per row; a row without a known label has no target part.
    """

    kind: Literal["nkd"] = "nkd"
    gamma: Annotated[float, Field(ge=0)] = 1.5
    temperature: Annotated[float, Field(gt=0)] = 1.0


def loss(
    student_logits: Tensor, teacher_logits: Tensor, class_mask: Tensor, labels_B: Tensor, options: Options
) -> Tensor:
    """Returns losses [..., B] of logits [..., B, C] and labels int64 [B] (-1 = none)."""
    target = true_class(labels_B, class_mask)
    others = ~target & class_mask
    t = options.temperature
    log_p, log_q = (masked_log_softmax(z, class_mask) for z in (teacher_logits, student_logits))
    target_part = -pick(log_p.exp() * log_q, target)
    log_p_other, log_q_other = (masked_log_softmax(z / t, others) for z in (teacher_logits, student_logits))
    return target_part + options.gamma * t * t * cross_entropy(log_p_other, log_q_other)
