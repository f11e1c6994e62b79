"""CrossKD: the student's features go through the teacher's remaining head, and that must say what the teacher says."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.maths.classes import together, wide
from pipelines.maths.divergences import kl
from pipelines.method import LOGITS, Needs

NEEDS = Needs(signals=(LOGITS,))
SPANS_BATCH = False
GRAFTS = True


class Options(PluginOptions):
    """sum_c |sigmoid(x) - q|^beta BCE(x, q), q = sigmoid(teacher logit), x the CROSS prediction: student features
    through the teacher's frozen head (Wang et al.: CrossKD, CVPR 2024, eq. 4-6; quality focal loss).

    The student side of this method is that cross prediction, made by the caller; the teacher's head is an artefact
    beside the cache, frozen, with gradient running through it. Sum over classes, per row (per location in dense maps).
    The focal factor is not detached. Before the head, `rescale` gives student features the teacher's channel mean and
    deviation. For detection: `location_weights` and `box_loss` are the box part (distribution over distance bins,
    T = 1, each location weighted by the teacher's best class score), sums that the caller divides by their normalisers.
    Zero at equal predictions for beta > 0; the classes are independent (sigmoid), so no renormalisation over a mask.
    """

    kind: Literal["cross_head"] = "cross_head"
    beta: Annotated[float, Field(ge=0)] = 1.0


def loss(student_logits: Tensor, teacher_logits: Tensor, class_mask: Tensor, options: Options) -> Tensor:
    """Returns losses [..., B] of cross predictions and teacher logits [..., B, C]."""
    x, t = together(wide(student_logits), torch.sigmoid(wide(teacher_logits)))
    surprise = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    focus = (torch.sigmoid(x) - t).abs().pow(options.beta)
    return torch.where(class_mask, focus * surprise, 0.0).sum(-1)


def location_weights(teacher_logits: Tensor, counted: Tensor) -> Tensor:
    """Returns the teacher's best class score per location [...], 0 where the location does not count."""
    return torch.sigmoid(wide(teacher_logits)).amax(-1).where(counted, 0.0)


def box_loss(student_bins: Tensor, teacher_bins: Tensor, weights: Tensor) -> Tensor:
    """Returns weight x mean over the sides of KL(teacher || student), per location: [..., sides, bins] to [...]."""
    log_p, log_q = (torch.log_softmax(wide(bins), dim=-1) for bins in (teacher_bins, student_bins))
    return weights * kl(log_p, log_q).mean(-1)


def rescale(student_NCHW: Tensor, teacher_NCHW: Tensor) -> Tensor:
    """Returns the student's maps with the teacher's mean and sample deviation per channel (over rows and places)."""
    mean, deviation = _moments(teacher_NCHW)
    return normalise(student_NCHW) * deviation + mean


def normalise(maps_NCHW: Tensor, eps: float = 1e-6) -> Tensor:
    """Returns (x - mean) / (deviation + eps) per channel over rows and places; sample deviation."""
    mean, deviation = _moments(maps_NCHW)
    return (maps_NCHW - mean) / (deviation + eps)


def pearson_feature(student_NCHW: Tensor, teacher_NCHW: Tensor) -> Tensor:
    """Returns half the mean square between both maps, each normalised per channel, [N] (PKD, used beside CrossKD)."""
    return 0.5 * (normalise(student_NCHW) - normalise(teacher_NCHW)).square().flatten(1).mean(1)


def _moments(maps_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(maps_NCHW, dim=(0, 2, 3), keepdim=True)
    return mean, variance.sqrt()
