"""SimKD: the student's features take the place of the teacher's under the teacher's own classifier."""

from __future__ import annotations

from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, Shapes, bridged, pairs
from pipelines.maths.maps import as_map, common_size, mean_square
from pipelines.maths.regressors import bottleneck, channels
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = True
GRAFTS = True


class Options(PluginOptions):
    """mean over channels and positions of (P(F_s) - F_t)^2, last layer before pooling; P = 1x1, 3x3, 1x1 convolutions,
    each with BN and ReLU, C_t / factor channels inside (Chen et al.: Knowledge Distillation with the Reused Teacher
    Classifier, CVPR 2022, eq. 4).

    No labels and no class logits are learnt from. At inference logits = W_t avgpool(P(F_s)) + b_t with the teacher's
    frozen classifier: P and the classifier leave with the student (`grafted_logits`). The larger map is pooled to the
    smaller. F_t is taken after a ReLU (P ends in one). Batch normalisation in training makes rows depend on each other.
    """

    kind: Literal["reused_classifier"] = "reused_classifier"
    factor: Annotated[int, Field(ge=1)] = 2


class Projector(nn.Module):
    """Pools the student's map to the teacher's size, then projects it."""

    def __init__(self, student: tuple[int, ...], teacher: tuple[int, ...], factor: int) -> None:
        super().__init__()
        self.size = (teacher[1], teacher[2]) if len(teacher) == 3 else (1, 1)
        self.transfer = bottleneck(channels(student), max(1, channels(teacher) // factor), channels(teacher), last=True)

    def forward(self, features: Tensor) -> Tensor:
        maps = as_map(features)
        if maps.shape[2] > self.size[0]:
            maps = F.adaptive_avg_pool2d(maps, self.size)
        projected: Tensor = self.transfer(maps)
        return projected


def adapter(options: Options, shapes: Shapes) -> nn.Module:
    """Returns the projector(s)."""
    both = zip(shapes.student, shapes.teacher, strict=True)
    return nn.ModuleList([Projector(s, t, options.factor) for s, t in both])


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B]; zero where the projected feature is the teacher's, and then the logits are, too."""
    total = []
    for student, teacher in pairs(bridged(batch, adapter)):
        a, b = common_size(student, teacher.detach())
        total.append(mean_square(a - b))
    return sum(total[1:], start=total[0])


def grafted_logits(projected_BCHW: Tensor, weight_KC: Tensor, bias_K: Tensor) -> Tensor:
    """Returns the class logits [B, K] of the student that wears the teacher's classifier."""
    return F.linear(as_map(projected_BCHW).mean((2, 3)), weight_KC, bias_K)
