"""One target: the weighted mean of the teachers' centred logits, class by class over the teachers who know it."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.fusion import student_temperature
from pipelines.lens import Temperatures
from pipelines.method import LogitLoss
from pipelines.teacher_logits import TeacherLogits

PER_TEACHER = False


class Options(PluginOptions):
    """T_s^2 D(softmax z, student at T_s) over the classes somebody knows, with

        z(c) = sum_{k: c in S_k} w_k (z_k(c) - mean_{S_k} z_k) / T_k  /  sum_{k: c in S_k} w_k

    A class that no teacher with weight knows does not exist in that row.
    student_temperature: T_s; default sum_k w_k T_k, row by row where weights differ by row.
    """

    kind: Literal["log_pool"] = "log_pool"
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
    known_K1C = teachers.class_mask_KC.unsqueeze(1)
    known = known_K1C.to(teachers.logits_KBC.dtype)
    size_K11 = known.sum(-1, keepdim=True).clamp_min(1)
    mean_KB1 = (teachers.logits_KBC * known).sum(-1, keepdim=True) / size_K11
    centred_KBC = (teachers.logits_KBC - mean_KB1) * temperature.scale_K11 * known
    votes_KBC = weights_KB.unsqueeze(-1) * known
    total_BC = votes_KBC.sum(0)
    heard_BC = total_BC > 0
    pooled_BC = (weights_KB.unsqueeze(-1) * centred_KBC).sum(0) / torch.where(heard_BC, total_BC, 1.0)
    t_B1 = student_temperature(weights_KB, temperature, options.student_temperature)
    return method(student_logits / t_B1, pooled_BC, heard_BC) * t_B1.squeeze(-1).square()
