"""Feature maps [B, C, H, W]: common sizes, attention over positions, channel products."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pipelines.maths.classes import wide
from pipelines.maths.correlation import unit


def as_map(features: Tensor) -> Tensor:
    """Returns [B, C, H, W]; a vector [B, D] becomes D channels of size 1 x 1. Half precision becomes float32."""
    features = wide(features)
    return features if features.dim() == 4 else features.flatten(1)[:, :, None, None]


def common_size(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Returns both maps with the larger one average-pooled to the height and width of the smaller one."""
    a, b = as_map(a), as_map(b)
    if a.shape[2] > b.shape[2]:
        return F.adaptive_avg_pool2d(a, (b.shape[2], b.shape[3])), b
    if a.shape[2] < b.shape[2]:
        return a, F.adaptive_avg_pool2d(b, (a.shape[2], a.shape[3]))
    return a, b


def attention(maps_BCHW: Tensor, power: int) -> Tensor:
    """Returns where a map is active, mean_c F_c^power over positions, at unit length: [B, H*W]."""
    return unit(maps_BCHW.pow(power).mean(1).flatten(1))


def channel_products(top_BCHW: Tensor, bottom_BDHW: Tensor) -> Tensor:
    """Returns the mean over positions of products of every channel of one map with every one of the other, [B, D, C].

    The larger map is pooled to the smaller one first.
    """
    top, bottom = common_size(top_BCHW, bottom_BDHW)
    top, bottom = top.flatten(2), bottom.flatten(2)
    return bottom @ top.mT / top.shape[-1]


def mean_square(gap: Tensor) -> Tensor:
    """Returns the mean of squares over everything but the first axis, [B]."""
    return gap.square().flatten(1).mean(1)


def stack_rows(features: Tensor) -> Tensor:
    """Returns [B, everything else], at least float32."""
    return wide(features).flatten(1)


def smooth_l1(gap: Tensor) -> Tensor:
    """Returns Huber's function with delta 1, elementwise: gap^2 / 2 inside, |gap| - 1/2 outside."""
    return F.smooth_l1_loss(gap, torch.zeros_like(gap), reduction="none")
