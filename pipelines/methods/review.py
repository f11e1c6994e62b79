"""Knowledge review: every teacher layer teaches a fusion of the student's layers from that depth downwards."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, Shapes, pairs
from pipelines.maths.maps import as_map, mean_square
from pipelines.maths.regressors import Conv1x1, Norm, channels
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = True


class Options(PluginOptions):
    """sum over stages of HCL(out_i, F_t,i) (Chen, Liu, Zhao, Jia: Distilling Knowledge via Knowledge Review, CVPR 2021,
    eq. 5-7). From the deepest stage to the shallowest:
        x = BN(conv1x1(F_s)); but for the deepest y = previous x resized, (a, b) = sigmoid(conv1x1(x; y)), x = a x + b y
        x = x resized to the teacher's map (nearest), handed on in this size;  out = BN(conv3x3(x))
    HCL: mean squares of the maps, and of the maps pooled to 4, 2 and 1 positions with weights 1/2, 1/4, 1/8 in order of
    use (levels not smaller than the map are skipped and use no weight), divided by the sum of weights.

    `width` channels inside. No warm-up factor here. Vectors are maps of size 1 x 1. Batch normalisation in training
    makes rows depend on each other.
    """

    kind: Literal["review"] = "review"
    width: Annotated[int, Field(ge=1)] = 64


class Fusion(nn.Module):
    """Attention-based fusion of one stage with the deeper ones."""

    def __init__(self, inward: int, width: int, outward: int, *, deepest: bool) -> None:
        super().__init__()
        self.inward = Conv1x1(inward, width)
        self.gate = None if deepest else nn.Conv2d(2 * width, 2, 1)
        self.outward = nn.Conv2d(width, outward, 3, padding=1, bias=False)
        self.bn = Norm(outward)

    def forward(self, features: Tensor, deeper: Tensor | None, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Returns what is compared with the teacher, and what goes to the next stage."""
        x = self.inward(features)
        if self.gate is not None and deeper is not None:
            y = F.interpolate(deeper, (x.shape[2], x.shape[3]), mode="nearest")
            share = torch.sigmoid(self.gate(torch.cat([x, y], dim=1)))
            x = x * share[:, :1] + y * share[:, 1:]
        if (x.shape[2], x.shape[3]) != size:
            x = F.interpolate(x, size, mode="nearest")
        return self.bn(self.outward(x)), x


def adapter(options: Options, shapes: Shapes) -> nn.Module:
    """Returns one fusion per stage."""
    last = len(shapes.student) - 1
    both = enumerate(zip(shapes.student, shapes.teacher, strict=True))
    return nn.ModuleList([Fusion(channels(s), options.width, channels(t), deepest=i == last) for i, (s, t) in both])


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B]; zero where every fused map equals the teacher's."""
    assert isinstance(adapter, nn.ModuleList)
    deeper: Tensor | None = None
    parts = []
    for fusion, (student, teacher) in reversed(list(zip(adapter, pairs(batch), strict=True))):
        target = as_map(teacher.detach())
        out, deeper = cast(Fusion, fusion)(student, deeper, (target.shape[2], target.shape[3]))
        parts.append(hierarchical(out, target))
    return torch.stack(parts).sum(0)


def hierarchical(student: Tensor, teacher: Tensor) -> Tensor:
    """Returns HCL [B] of two maps of one size."""
    total, weight, weights = mean_square(student - teacher), 1.0, 1.0
    for size in (4, 2, 1):
        if size < student.shape[2]:
            weight /= 2
            weights += weight
            pooled = (F.adaptive_avg_pool2d(x, (size, size)) for x in (student, teacher))
            total = total + weight * mean_square(next(pooled) - next(pooled))
    return total / weights
