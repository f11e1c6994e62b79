"""Teachers that are right about a row, and sure of it, count more for that row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from foundation.errors import ConfigError
from foundation.model import PluginOptions
from pipelines.method import LOGITS, Needs, masked_log_softmax
from pipelines.teacher_logits import TeacherLogits

NEEDS = Needs(labels=True, signals=(LOGITS,))
PER_ROW = True


class Options(PluginOptions):
    """w_k = (1 - softmax_k(CE(z_k, y))) / (K - 1), per row, from its true label, at T = 1 (CA-MKD, Zhang et al. 2022).

    The released code divides the weighted sum by K once more; the weights sum to 1 already, so that is left out here.
    Rows without a label: all teachers count the same. A teacher that doesn't know the label's class gets the
    cross-entropy of a blind guess among all classes, log C: it is neither right nor wrong. One teacher: weight 1.
    """

    kind: Literal["confidence"] = "confidence"


def weights(options: Options, teachers: TeacherLogits | None, labels_B: Tensor | None, names: Sequence[str]) -> Tensor:
    """Returns weights [K, B]; in rows where a teacher is missing, the softmax runs over the teachers present."""
    if teachers is None or labels_B is None:
        raise ConfigError("The weighting `confidence` needs teachers and labels.", where="weighting")
    log_p_KBC = masked_log_softmax(teachers.logits_KBC, teachers.class_mask_KC.unsqueeze(1))
    count, _, classes = log_p_KBC.shape
    index_KB1 = labels_B.clamp_min(0).unsqueeze(-1).expand(count, -1, 1)
    loss_KB = -log_p_KBC.gather(-1, index_KB1).squeeze(-1)
    knows_KB = teachers.class_mask_KC[:, labels_B.clamp_min(0)]
    blind = torch.log(torch.tensor(float(classes), dtype=loss_KB.dtype, device=loss_KB.device))
    loss_KB = torch.where(knows_KB, loss_KB, blind)
    loss_KB = torch.where(teachers.present_KB, loss_KB, float("-inf"))  # absent: no share of the softmax
    present_B = teachers.present_KB.sum(0)
    several_B = present_B > 1
    # A row with nobody present would be softmax over -inf only; its weights are zeroed by the last line anyway.
    doubt_KB = torch.softmax(torch.where(several_B, loss_KB, torch.zeros_like(loss_KB)), dim=0)
    trusted_KB = (1 - doubt_KB) / (present_B - 1).clamp_min(1)
    uniform_KB = torch.ones_like(loss_KB) / present_B.clamp_min(1)
    chosen_KB = torch.where(several_B & (labels_B >= 0), trusted_KB, uniform_KB)
    return chosen_KB * teachers.present_KB
