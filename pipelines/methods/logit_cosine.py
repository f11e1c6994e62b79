"""Angle between logit vectors: their direction is matched, their length stays free."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.maths.classes import wide
from pipelines.maths.correlation import cosine
from pipelines.method import LOGITS, Needs

NEEDS = Needs(signals=(LOGITS,))


class Options(PluginOptions):
    """1 - z_s.z_t / (|z_s| |z_t|) over the known classes; norms below 1e-8 count as 1e-8; a zero row costs 1, slope 0.

    Per row, invariant to the scale of either side, not to a shift (use the lens `standardize` for both).
    Source: the cosine loss of Liger-Kernel's chunked losses (its `beta` is the term's share here).
    """

    kind: Literal["logit_cosine"] = "logit_cosine"


def loss(student_logits: Tensor, teacher_logits: Tensor, class_mask: Tensor, options: Options) -> Tensor:
    """Returns 1 - cosine [..., B] of logits [..., B, C]; zero when one side is a positive multiple of the other."""
    student, teacher = (torch.where(class_mask, wide(z), 0.0) for z in (student_logits, teacher_logits))
    return 1 - cosine(student, teacher)
