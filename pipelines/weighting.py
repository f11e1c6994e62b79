"""Contract: a weighting says how much each teacher counts.

A weighting is one file in `pipelines/weightings/` with

    class Options(PluginOptions)
    NEEDS = Needs(...)
    PER_ROW: bool                                      False: the same weights for every row, computed once
    def weights(options, teachers, labels_B, names) -> [K, B] or [K, 1]

`teachers` is `TeacherLogits` (None when not PER_ROW), `labels_B` int64 with -1 for unlabelled rows (None when not
PER_ROW), `names` the K teacher names. Weights are not negative and sum to 1 over the K teachers; where a teacher's
label is missing, `renormalise` shares its weight out among the teachers present in that row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.teacher_logits import TeacherLogits


class Weigh(Protocol):
    def __call__(
        self, options: PluginOptions, teachers: TeacherLogits | None, labels_B: Tensor | None, names: Sequence[str]
    ) -> Tensor: ...


def renormalise(weights_KB: Tensor, present_KB: Tensor) -> Tensor:
    """Returns weights [K, B] that sum to 1 over the teachers present; all 0 where no teacher with weight is present."""
    kept_KB = weights_KB * present_KB
    total_B = kept_KB.sum(0)
    return kept_KB / torch.where(total_B > 0, total_B, torch.ones_like(total_B))
