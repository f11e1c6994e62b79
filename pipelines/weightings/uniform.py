"""Every teacher counts the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.method import Needs
from pipelines.teacher_logits import TeacherLogits

NEEDS = Needs()
PER_ROW = False


class Options(PluginOptions):
    """w_k = 1 / K: the plain mean of the ensemble, the baseline that every other weighting has to beat."""

    kind: Literal["uniform"] = "uniform"


def weights(options: Options, teachers: TeacherLogits | None, labels_B: Tensor | None, names: Sequence[str]) -> Tensor:
    """Returns weights [K, 1]."""
    return torch.full((len(names), 1), 1.0 / len(names))
