"""Cross-entropy with the true labels: what a student learns without any teacher."""

from __future__ import annotations

from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.method import Needs

NEEDS = Needs(labels=True)


class Options(PluginOptions):
    """- log q(y), natural logarithm; with `smoothing` s the target is (1 - s) one-hot + s / C (Szegedy et al. 2016)."""

    kind: Literal["cross_entropy"] = "cross_entropy"
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


def loss(student_logits_BC: Tensor, labels_B: Tensor, options: Options) -> Tensor:
    """Returns losses [B]; labels are class indexes >= 0 (the objective leaves unlabelled rows out)."""
    wide_BC = student_logits_BC.float() if student_logits_BC.dtype.itemsize < 4 else student_logits_BC
    return F.cross_entropy(wide_BC, labels_B, reduction="none", label_smoothing=options.smoothing)
