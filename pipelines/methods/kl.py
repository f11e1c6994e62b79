"""Kullback-Leibler divergence between a teacher's and the student's class probabilities, and its relatives."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.maths.divergences import jensen_shannon, kl, mix, total_variation
from pipelines.method import ABSENT, LOGITS, Needs, masked_log_softmax

NEEDS = Needs(signals=(LOGITS,))


class Options(PluginOptions):
    """Soft targets (Hinton, Vinyals, Dean 2015) and their relatives; p = teacher, q = student, over the known classes.

    direction:
        forward            KL(p || q) = sum_c p_c log(p_c / q_c): cover everything the teacher finds likely
        reverse            KL(q || p): stay where the teacher finds it likely
        symmetric          (KL(p || q) + KL(q || p)) / 2
        skewed             KL(p || skew p + (1 - skew) q)       (DistiLLM, Ko et al. 2024)
        skewed_reverse     KL(q || skew q + (1 - skew) p)
        jensen_shannon     share KL(p || m) + (1 - share) KL(q || m), m = share p + (1 - share) q; at the ends, where
                           that is 0, share 0 means forward and 1 reverse (generalised, GKD, Agarwal et al. 2024)
        total_variation    sum_c |p_c - q_c| / 2 over the classes the teacher doesn't rule out (by a logit of -1e30)
    skew: share mixed in by the two skewed forms. share: of the teacher, for jensen_shannon.

    No temperature here: the lens `temperature` scales both sides, the fusion gives the T^2.
    """

    kind: Literal["kl"] = "kl"
    direction: Literal[
        "forward", "reverse", "symmetric", "skewed", "skewed_reverse", "jensen_shannon", "total_variation"
    ] = "forward"
    skew: Annotated[float, Field(gt=0, lt=1)] = 0.1
    share: Annotated[float, Field(ge=0, le=1)] = 0.5


def loss(student_logits: Tensor, teacher_logits: Tensor, class_mask: Tensor, options: Options) -> Tensor:
    """Returns divergences [..., B] of logits [..., B, C]; zero at equal distributions, never NaN on finite logits."""
    log_p = masked_log_softmax(teacher_logits, class_mask)
    log_q = masked_log_softmax(student_logits, class_mask)
    match options.direction:
        case "forward":
            return kl(log_p, log_q)
        case "reverse":
            return kl(log_q, log_p)
        case "symmetric":
            return 0.5 * ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(-1)
        case "skewed":
            return kl(log_p, mix(log_p, log_q, options.skew))
        case "skewed_reverse":
            return kl(log_q, mix(log_q, log_p, options.skew))
        case "jensen_shannon":
            return jensen_shannon(log_p, log_q, options.share)
        case "total_variation":
            return total_variation(log_p, torch.where(log_p > ABSENT / 2, log_q, ABSENT))
