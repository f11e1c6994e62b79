"""Multi-level logit distillation: how classes go together over the batch, and how rows go together over classes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.maths.classes import share_out
from pipelines.method import LOGITS, Needs, masked_log_softmax

NEEDS = Needs(signals=(LOGITS,))
SPANS_BATCH = True


class Options(PluginOptions):
    """classes |P_s^T P_s - P_t^T P_t|_F^2 / C + rows |P_s P_s^T - P_t P_t^T|_F^2 / B, P probabilities [B, C]
    (Jin, Wang, Lin: Multi-Level Logit Distillation, CVPR 2023, eq. 6-9).

    Sums of squares, no T^2 (a fusion's T^2 multiplies it all the same: choose the share accordingly). One temperature;
    the released assembly over five temperatures with a mask on reduced scalars is not followed. Its third part is `kl`.
    Row i carries sum_j of the squared row differences, and the whole of the class part, so the mean over rows is the
    value above. Data parallel: a statistic of the rows given in one call.
    """

    kind: Literal["class_batch_correlation"] = "class_batch_correlation"
    classes: Annotated[float, Field(ge=0)] = 1.0
    rows: Annotated[float, Field(ge=0)] = 1.0


def loss(student_logits: Tensor, teacher_logits: Tensor, class_mask: Tensor, options: Options) -> Tensor:
    """Returns losses [..., B] of logits [..., B, C]; zero at equal distributions."""
    student, teacher = (masked_log_softmax(z, class_mask).exp() for z in (student_logits, teacher_logits))
    together = (student.mT @ student - teacher.mT @ teacher).square().sum((-1, -2))
    alike = (student @ student.mT - teacher @ teacher.mT).square().sum(-1)
    classes = class_mask.sum(-1).amax(-1).clamp_min(1)
    return options.classes * share_out(together / classes, alike.shape[-1]) + options.rows * alike
