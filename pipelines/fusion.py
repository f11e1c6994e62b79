"""Contract: a fusion says how several teachers meet one loss.

A fusion is one file in `pipelines/fusions/` with

    class Options(PluginOptions)
    PER_TEACHER: bool      True: the student meets each teacher over that teacher's classes; False: teachers become
                           one target first. It decides which mask signal lenses see on the student's side.
    def fuse(method, student_logits, teachers, weights_KB, temperature, options) -> loss_B

`weights_KB` ([K, B], or [K, 1] when equal for all rows) sums to 1 over the teachers present in a row, 0 in a row
nobody labelled: such a row must give a finite loss, the objective leaves it out. The student's logits are [B, C], or
[K, B, C] where `PER_TEACHER` and a signal lens is used. The T^2 that keeps gradients comparable belongs to the fusion.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.lens import Temperatures
from pipelines.method import LogitLoss
from pipelines.teacher_logits import TeacherLogits


class Fuse(Protocol):
    def __call__(
        self,
        method: LogitLoss,
        student_logits: Tensor,
        teachers: TeacherLogits,
        weights_KB: Tensor,
        temperature: Temperatures,
        options: PluginOptions,
    ) -> Tensor: ...


def student_temperature(weights_KB: Tensor, temperature: Temperatures, fixed: float | None) -> Tensor:
    """Returns T_s as [B, 1] or [1, 1]: the option where given, else sum_k w_k T_k (1 in a row without teachers)."""
    if fixed is not None:
        return torch.full((1, 1), fixed, dtype=weights_KB.dtype, device=weights_KB.device)
    mean_B1 = (weights_KB * temperature.value_K1).sum(0).unsqueeze(-1)
    return torch.where(mean_B1 > 0, mean_B1, torch.ones_like(mean_B1))
