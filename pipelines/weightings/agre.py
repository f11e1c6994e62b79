"""AGRE-KD: teachers whose advice differs from a biased model's count more, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from foundation.errors import ConfigError
from foundation.model import PluginOptions
from pipelines.maths.correlation import cosine
from pipelines.method import LOGITS, Needs
from pipelines.student_weighting import Moment, residuals, seen, shares
from pipelines.teacher_logits import TeacherLogits

NEEDS = Needs(signals=(LOGITS,))
PER_ROW = True
SEES = ("student",)


class Options(PluginOptions):
    """w_k = W_k / sum_j W_j, W_k = 1 - cos(p_s - p_k, p_s - p_b) at T, per row; b is the biased model (Kenfack,
    Aivodji, Kahou: Adaptive Group Robust Ensemble Knowledge Distillation, TMLR 2025, eq. 5-6).

    The paper takes the cosine of gradients with respect to all parameters; for the last, linear layer the student's
    feature cancels and what is left is this, computed from logits alone. Weights are constants.
    biased: name of the biased twin among the teachers; it is consulted, never imitated (weight 0).
    Where every teacher pulls exactly like b all W are 0, for which the paper has no rule: equal weights. With two
    classes every cosine is +1 or -1, so the weights are a hard choice.
    """

    kind: Literal["agre"] = "agre"
    biased: str


@torch.no_grad()
def weights(
    options: Options,
    teachers: TeacherLogits | None,
    labels_B: Tensor | None,
    names: Sequence[str],
    moment: Moment,
) -> Tensor:
    """Returns weights [K, B]. Raises `ConfigError` when `biased` is no teacher, or the only one."""
    seen("agre", teachers, moment.student_logits_BC, moment.temperature)
    assert teachers is not None and moment.student_logits_BC is not None and moment.temperature is not None
    if options.biased not in names or len(names) < 2:
        raise ConfigError(
            "The biased twin doesn't exist beside other teachers.", expected=", ".join(names), found=options.biased
        )
    index = list(names).index(options.biased)
    pull_KBC = residuals(moment.student_logits_BC, teachers, moment.temperature)
    apart_KB = 1 - cosine(pull_KBC, pull_KBC[index : index + 1], eps=1e-30)
    imitated_K1 = (torch.arange(len(apart_KB), device=apart_KB.device) != index).unsqueeze(1)
    heard_KB = imitated_K1 & teachers.present_KB
    advice_KB = torch.where(teachers.present_KB[index], apart_KB, torch.ones_like(apart_KB))
    # Rounding leaves 1e-16 where the cosine is 1; as a share of a sum of such crumbs it would decide everything.
    crumbs = 8 * torch.finfo(apart_KB.dtype).eps
    return shares(torch.where(advice_KB > crumbs, advice_KB, 0.0), heard_KB)
