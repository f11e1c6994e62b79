"""AEKD: the teachers are weighed so that their gradients pull together, with a limit on any single one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.lens import Temperatures
from pipelines.maths.capped_simplex import shortest_combination
from pipelines.maths.correlation import length
from pipelines.method import LOGITS, Needs
from pipelines.student_weighting import Moment, residuals, seen
from pipelines.teacher_logits import TeacherLogits

NEEDS = Needs(signals=(LOGITS,))
PER_ROW = True
SEES = ("student",)


class Options(PluginOptions):
    """a = argmin 0.5 |sum_k a_k v_k|^2, sum a = 1, 0 <= a_k <= 1 / (nu K), v_k = mean_B of the slope of kd_k in the
    student's logits (Du et al.: Agree to Disagree, NeurIPS 2020, eq. 5-8; a min-norm point with a tolerance).

    One weight per teacher and batch: slopes are averaged over the rows before they meet, T_k (p_s - p_k) / B each.
    nu: between 1 / K (no limit; the default) and 1 (all equal). The paper's tolerance C is the limit 1 / (nu K).
    unit_gradients: v_k is divided by its norm first, and the solution by it again, then by its sum.
    Weights are constants. Data parallel: a statistic of the rows given in one call. A missing label counts as slope 0.
    """

    kind: Literal["gradient_space"] = "gradient_space"
    nu: Annotated[float, Field(gt=0, le=1)] | None = None
    unit_gradients: bool = False


@torch.no_grad()
def weights(
    options: Options,
    teachers: TeacherLogits | None,
    labels_B: Tensor | None,
    names: Sequence[str],
    moment: Moment,
) -> Tensor:
    """Returns weights [K, 1]."""
    seen("gradient_space", teachers, moment.student_logits_BC, moment.temperature)
    assert teachers is not None and moment.student_logits_BC is not None and moment.temperature is not None
    directions_KC = gradients(moment.student_logits_BC, teachers, moment.temperature).mean(1).double()
    count = len(directions_KC)
    sizes_K = length(directions_KC)
    if options.unit_gradients:
        directions_KC = directions_KC / torch.where(sizes_K > 0, sizes_K, 1.0).unsqueeze(1)
    limit = 1.0 if options.nu is None else 1.0 / (min(max(options.nu, 1.0 / count), 1.0) * count)
    solved_K = shortest_combination(directions_KC @ directions_KC.mT, limit)
    if options.unit_gradients:
        solved_K = solved_K / torch.where(sizes_K > 0, sizes_K, 1.0)
        solved_K = solved_K / solved_K.sum()
    return solved_K.unsqueeze(1).to(moment.student_logits_BC.dtype)


def gradients(student_logits_BC: Tensor, teachers: TeacherLogits, temperature: Temperatures) -> Tensor:
    """Returns the slope of mean_B T_k^2 KL(p_k || p_s) in the student's logits, [K, B, C]."""
    present_KB1 = teachers.present_KB.unsqueeze(-1)
    slopes_KBC = residuals(student_logits_BC, teachers, temperature) / temperature.scale_K11
    return torch.where(present_KB1, slopes_KBC, 0.0) / student_logits_BC.shape[0]
