"""One target: the weighted mean of the teachers' probabilities."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.fusion import student_temperature
from pipelines.lens import Temperatures
from pipelines.method import LogitLoss, masked_log_softmax
from pipelines.teacher_logits import TeacherLogits

PER_TEACHER = False


class Options(PluginOptions):
    """T_s^2 D(m, student at T_s), m = sum_k w_k p_k renormalised, p_k = softmax(z_k / T_k), p_k(c) = 0 outside S_k.

    All classes exist for the student: one that no teacher knows is a class of probability zero.
    student_temperature: T_s; default sum_k w_k T_k, row by row where weights differ by row.
    """

    kind: Literal["mixture"] = "mixture"
    student_temperature: Annotated[float, Field(gt=0)] | None = None


def fuse(
    method: LogitLoss,
    student_logits: Tensor,
    teachers: TeacherLogits,
    weights_KB: Tensor,
    temperature: Temperatures,
    options: Options,
) -> Tensor:
    """Returns loss_B; see `pipelines/fusion.py` for shapes."""
    log_p_KBC = masked_log_softmax(teachers.logits_KBC * temperature.scale_K11, teachers.class_mask_KC.unsqueeze(1))
    mixture_BC = (weights_KB.unsqueeze(-1) * log_p_KBC.exp()).sum(0)
    # The method renormalises, so its logarithm serves as logits; the floor keeps exact zeros finite.
    target_BC = mixture_BC.clamp_min(torch.finfo(mixture_BC.dtype).tiny).log()
    t_B1 = student_temperature(weights_KB, temperature, options.student_temperature)
    everything_1C = torch.ones_like(teachers.class_mask_KC[:1])
    return method(student_logits / t_B1, target_BC, everything_1C) * t_B1.squeeze(-1).square()
