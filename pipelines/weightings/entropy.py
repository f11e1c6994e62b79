"""Teachers that are sure of a row count more for it; no label is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from foundation.errors import ConfigError
from foundation.model import PluginOptions
from pipelines.maths.divergences import entropy
from pipelines.method import LOGITS, Needs, masked_log_softmax
from pipelines.student_weighting import shares
from pipelines.teacher_logits import TeacherLogits

NEEDS = Needs(signals=(LOGITS,))
PER_ROW = True


class Options(PluginOptions):
    """w_k = (1 - H_k / sum_j H_j) / (K - 1), per row, H_k the entropy of softmax(z_k) at T = 1 (EBKD, Kwon et al. 2020,
    in the form of the CA-MKD authors' code; the EBKD paper itself was not read).

    That code leaves out the K - 1 (its weights sum to K - 1) and divides the loss by K once more: its loss is ours
    times (K - 1) / K. A teacher with fewer classes has less entropy to begin with, so H_k is taken relative to the log
    of its number of classes (no difference where all know the same). All certain, or one teacher: equal weights.
    """

    kind: Literal["entropy"] = "entropy"


def weights(options: Options, teachers: TeacherLogits | None, labels_B: Tensor | None, names: Sequence[str]) -> Tensor:
    """Returns weights [K, B]; in rows where a teacher is missing, over the teachers present."""
    if teachers is None:
        raise ConfigError("The weighting `entropy` needs teachers.", where="weighting")
    log_p_KBC = masked_log_softmax(teachers.logits_KBC, teachers.class_mask_KC.unsqueeze(1))
    most_K1 = teachers.class_mask_KC.sum(-1, keepdim=True).clamp_min(2).to(log_p_KBC.dtype).log()
    doubt_KB = torch.where(teachers.present_KB, entropy(log_p_KBC) / most_K1, 0.0)
    total_B = doubt_KB.sum(0)
    trusted_KB = 1 - doubt_KB / torch.where(total_B > 0, total_B, 1.0)
    return shares(trusted_KB, teachers.present_KB)
