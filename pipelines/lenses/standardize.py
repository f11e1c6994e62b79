"""Logit standardisation: every row gets mean 0 and standard deviation 1 before it is compared."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.maths.classes import wide
from pipelines.maths.correlation import centre, length


class Options(PluginOptions):
    """n(z) = (z - mean z) / (std z + eps) over the known classes (Sun et al.: Logit Standardization in Knowledge
    Distillation, CVPR 2024, eq. 11; sample standard deviation, divided by C - 1, as in the authors' code).

    Gradients run through the student's mean and deviation. The temperature acts afterwards. A constant row becomes
    zeros; its gradient is bounded by 1 / eps.
    """

    kind: Literal["standardize"] = "standardize"
    eps: Annotated[float, Field(gt=0)] = 1e-7


def look(logits: Tensor, class_mask: Tensor, options: Options) -> Tensor:
    """Returns standardised logits [..., B, C], 0 outside the mask."""
    centred = centre(wide(logits), class_mask)
    freedom = (class_mask.expand_as(centred).sum(-1, keepdim=True) - 1).clamp_min(1).to(centred.dtype)
    return centred / (length(centred, keepdim=True) / freedom.sqrt() + options.eps)
