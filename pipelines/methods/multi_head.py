"""Multi-head distillation: auxiliary classifiers on the student's layers learn from the teacher's at the same depth."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, Shapes, bridged, pairs, want
from pipelines.maths.divergences import kl
from pipelines.maths.maps import as_map
from pipelines.maths.regressors import Norm, channels
from pipelines.method import Needs

NEEDS = Needs(labels=True, signals=(FEATURES,))
SPANS_BATCH = True


class Options(PluginOptions):
    """sum over heads j of (1 - alpha) CE(a_s,j, y) + alpha T^2 KL(softmax(a_t,j / T) || softmax(a_s,j / T)) (Wang,
    Lohit, Jones, Fu: Multi-head Knowledge Distillation for Model Compression, 2020; the loss in the form of a later
    paper's reproduction, where it is open whether its 0.1 weighs the KL or the CE: here alpha weighs the KL).

    The teacher's signal is the CLASS LOGITS of its auxiliary heads [B, C], fitted on the frozen teacher beforehand:
    small in the cache, no feature maps. The student's layers get heads here (convolution, BN, ReLU, mean, linear; of a
    vector a 1x1 one), which are dropped afterwards. The final head is a term of its own (`kl`). The
    temperature is an option, as no lens reaches these logits; T^2 is included. Rows without a label have no CE.
    """

    kind: Literal["multi_head"] = "multi_head"
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.9
    temperature: Annotated[float, Field(gt=0)] = 4.0
    width: Annotated[int, Field(ge=1)] = 32


class Head(nn.Module):
    """A small classifier on one layer."""

    def __init__(self, shape: tuple[int, ...], width: int, classes: int) -> None:
        super().__init__()
        size = 3 if len(shape) == 3 else 1
        self.body = nn.Sequential(nn.Conv2d(channels(shape), width, size, padding=size // 2), Norm(width), nn.ReLU())
        self.last = nn.Linear(width, classes)

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.last(self.body(as_map(features)).mean((2, 3)))
        return logits


def adapter(options: Options, shapes: Shapes) -> nn.Module:
    """Returns one head per stage; the number of classes is the teacher's."""
    both = zip(shapes.student, shapes.teacher, strict=True)
    return nn.ModuleList([Head(s, options.width, t[0]) for s, t in both])


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B]."""
    (labels_B,) = want("multi_head", batch.labels_B)
    known_B, t = labels_B >= 0, options.temperature
    total = []
    for student, teacher in pairs(bridged(batch, adapter)):
        log_q, log_p = (torch.log_softmax(z / t, -1) for z in (student, teacher.detach().to(student.dtype)))
        hard = F.cross_entropy(student, labels_B.clamp_min(0), reduction="none").where(known_B, 0.0)
        total.append((1 - options.alpha) * hard + options.alpha * t * t * kl(log_p, log_q))
    return torch.stack(total).sum(0)
