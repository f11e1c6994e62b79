"""Kullback-Leibler divergence between a teacher's and the student's class probabilities."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.method import LOGITS, Needs, masked_log_softmax

NEEDS = Needs(signals=(LOGITS,))


class Options(PluginOptions):
    """Soft targets (Hinton, Vinyals, Dean 2015) and their relatives; p = teacher, q = student, over the known classes.

    direction:
        forward            KL(p || q) = sum_c p_c log(p_c / q_c): cover everything the teacher finds likely
        reverse            KL(q || p): stay where the teacher finds it likely
        symmetric          (KL(p || q) + KL(q || p)) / 2
        skewed             KL(p || skew p + (1 - skew) q)       (DistiLLM, Ko et al. 2024)
        skewed_reverse     KL(q || skew q + (1 - skew) p)
    skew: share mixed in by the two skewed forms.

    No temperature here: the lens `temperature` scales both sides, the fusion gives the T^2.
    """

    kind: Literal["kl"] = "kl"
    direction: Literal["forward", "reverse", "symmetric", "skewed", "skewed_reverse"] = "forward"
    skew: Annotated[float, Field(gt=0, lt=1)] = 0.1


def loss(student_logits: Tensor, teacher_logits: Tensor, class_mask: Tensor, options: Options) -> Tensor:
    """Returns divergences [..., B] of logits [..., B, C]; zero at equal distributions, never NaN on finite logits."""
    log_p = masked_log_softmax(teacher_logits, class_mask)
    log_q = masked_log_softmax(student_logits, class_mask)
    match options.direction:
        case "forward":
            return _kl(log_p, log_q)
        case "reverse":
            return _kl(log_q, log_p)
        case "symmetric":
            return 0.5 * ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(-1)
        case "skewed":
            return _kl(log_p, _mix(log_p, log_q, options.skew))
        case "skewed_reverse":
            return _kl(log_q, _mix(log_q, log_p, options.skew))


def _kl(log_a: Tensor, log_b: Tensor) -> Tensor:
    return (log_a.exp() * (log_a - log_b)).sum(-1)


def _mix(log_a: Tensor, log_b: Tensor, share: float) -> Tensor:
    """log(share a + (1 - share) b), computed in log space: no underflow."""
    mine = torch.log(torch.tensor(share, dtype=log_a.dtype, device=log_a.device))
    rest = torch.log1p(torch.tensor(-share, dtype=log_a.dtype, device=log_a.device))
    return torch.logaddexp(log_a + mine, log_b + rest)
