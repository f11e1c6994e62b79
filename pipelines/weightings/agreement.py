"""Teachers that agree with the others about a row count more for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from foundation.errors import ConfigError
from foundation.model import PluginOptions
from pipelines.maths.divergences import total_variation
from pipelines.method import LOGITS, Needs, masked_log_softmax
from pipelines.student_weighting import shares
from pipelines.teacher_logits import TeacherLogits

NEEDS = Needs(signals=(LOGITS,))
PER_ROW = True


class Options(PluginOptions):
    """w_k proportional to a_k^sharpness, per row, a_k = mean over the other teachers j of 1 - TV(p_k, p_j) at T = 1.

    TV is half the sum of absolute differences over the classes both know, renormalised to them. Teachers without a
    class in common are not compared; one that can be compared with nobody gets a = 1/2. Our own definition: a plain
    majority rule, to be set beside the learned weightings. sharpness 0 is the uniform mean. One teacher: weight 1.
    """

    kind: Literal["agreement"] = "agreement"
    sharpness: Annotated[float, Field(ge=0)] = 1.0


def weights(options: Options, teachers: TeacherLogits | None, labels_B: Tensor | None, names: Sequence[str]) -> Tensor:
    """Returns weights [K, B]; in rows where a teacher is missing, over the teachers present."""
    if teachers is None:
        raise ConfigError("The weighting `agreement` needs teachers.", where="weighting")
    scores = [_score(teachers, index) for index in range(len(teachers.logits_KBC))]
    return shares(torch.stack(scores).pow(options.sharpness), teachers.present_KB)


def _score(teachers: TeacherLogits, index: int) -> Tensor:
    """Returns a_k [B] of teacher `index`."""
    common_K1C = (teachers.class_mask_KC & teachers.class_mask_KC[index]).unsqueeze(1)
    mine_KBC = masked_log_softmax(teachers.logits_KBC[index], common_K1C)
    alike_KB = 1 - total_variation(mine_KBC, masked_log_softmax(teachers.logits_KBC, common_K1C))
    others_K1 = torch.arange(len(alike_KB), device=alike_KB.device).unsqueeze(1) != index
    counts_KB = others_K1 & teachers.present_KB & common_K1C.any(-1)
    compared_B = counts_KB.sum(0)
    mean_B = torch.where(counts_KB, alike_KB, 0.0).sum(0) / compared_B.clamp_min(1)
    return torch.where(compared_B > 0, mean_B, 0.5)
