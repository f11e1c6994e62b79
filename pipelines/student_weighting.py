"""Contract: a weighting that looks at more than the teachers' answers, built on `pipelines/weighting.py`.

Such a file in `pipelines/weightings/` has the same names, and besides

    SEES: tuple[str, ...]              which fields of `Moment` it reads: "student", "slope", "network"
    def network(options, teachers, classes) -> nn.Module    where weights are learnt: what is trained, by a meta step
    def weights(options, teachers, labels_B, names, moment) -> [K, B] or [K, 1]

The result is not negative, a constant for the gradient (but for the network's own parameters, where there is one), and
sums to 1 over the teachers present in a row. Data parallel: a weighting that reads the whole batch for one weight ([K,
1]) means the rows given in one call.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foundation.errors import ConfigError
from pipelines.lens import Temperatures
from pipelines.method import masked_log_softmax
from pipelines.teacher_logits import TeacherLogits


@dataclass(frozen=True)
class Moment:
    """Where training stands when weights are asked for.

    Attributes:
        student_logits_BC: the student's untempered logits of the batch.
        temperature: of each teacher, as the loss uses it.
        weights_K: the weights so far (sum 1), for weightings that step.
        network: what a learnt weighting made by `network`; it belongs to checkpoint and meta optimiser.
        slope_K: derivative of the outer (validation) loss with respect to `weights_K`.
    """

    student_logits_BC: Tensor | None = None
    temperature: Temperatures | None = None
    weights_K: Tensor | None = None
    slope_K: Tensor | None = None
    network: nn.Module | None = None


def seen(name: str, *parts: object) -> None:
    """Raises `ConfigError` when the weighting `name` was not given one of the things it reads."""
    if any(part is None for part in parts):
        raise ConfigError(f"The weighting `{name}` was asked without what it reads.", where="weighting")


@torch.no_grad()
def residuals(student_logits_BC: Tensor, teachers: TeacherLogits, temperature: Temperatures) -> Tensor:
    """Returns p_s - p_k at T_k over each teacher's classes, [K, B, C]: T_k times the slope of KL(p_k || p_s)."""
    mask_K1C = teachers.class_mask_KC.unsqueeze(1)
    student_KBC = masked_log_softmax(student_logits_BC * temperature.scale_K11, mask_K1C).exp()
    return student_KBC - masked_log_softmax(teachers.logits_KBC * temperature.scale_K11, mask_K1C).exp()


def shares(scores_KB: Tensor, present_KB: Tensor) -> Tensor:
    """Returns scores divided by their sum over the teachers present; equal shares where the sum is 0."""
    kept_KB = torch.where(present_KB, scores_KB, 0.0)
    total_B = kept_KB.sum(0)
    equal_KB = present_KB / present_KB.sum(0).clamp_min(1)
    return torch.where(total_B > 0, kept_KB / torch.where(total_B > 0, total_B, 1.0), equal_KB.to(kept_KB.dtype))
