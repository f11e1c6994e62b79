"""Logit standardisation: every row gets mean 0 and standard deviation 1 before it is compared."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.maths.classes import wide
from pipelines.maths.correlation import standardise


class Options(PluginOptions):
    """n(z) = (z - mean z) / (std z + eps) over the known classes (Sun et al.: Logit Standardization in Knowledge
    Distillation, CVPR 2024, eq. 11; sample standard deviation, divided by C - 1, as in the authors' code).

    Gradients run through the student's mean and deviation. The temperature acts afterwards. A constant row becomes
    zeros without slope.
    """

    kind: Literal["standardize"] = "standardize"
    eps: Annotated[float, Field(gt=0)] = 1e-7


def look(logits: Tensor, class_mask: Tensor, options: Options) -> Tensor:
    """Returns standardised logits [..., B, C], 0 outside the mask."""
    return standardise(wide(logits), class_mask, freedom=1, eps=options.eps)
