"""Each teacher has its own loss over the classes it knows; the losses are added by weight. The default."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from foundation.model import PluginOptions
from pipelines.lens import Temperatures
from pipelines.method import LogitLoss
from pipelines.teacher_logits import TeacherLogits

PER_TEACHER = True


class Options(PluginOptions):
    """sum_k w_k T_k^2 D(p_k, student restricted and renormalised to S_k), D the method, S_k the classes k knows.

    Nobody's silence counts as a zero: a teacher says nothing about classes outside S_k.
    """

    kind: Literal["losses"] = "losses"


def fuse(
    method: LogitLoss,
    student_logits: Tensor,
    teachers: TeacherLogits,
    weights_KB: Tensor,
    temperature: Temperatures,
    options: Options,
) -> Tensor:
    """Returns loss_B; see `pipelines/fusion.py` for shapes."""
    losses_KB = method(
        student_logits * temperature.scale_K11,
        teachers.logits_KBC * temperature.scale_K11,
        teachers.class_mask_KC.unsqueeze(1),
    )
    return (losses_KB * (weights_KB * temperature.square_K1)).sum(0)
