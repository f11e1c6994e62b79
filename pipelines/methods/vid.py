"""Variational information distillation: the teacher's layer is likely under a Gaussian that the student predicts."""

from __future__ import annotations

import math
from typing import Annotated, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, Shapes, pairs
from pipelines.maths.gaussian import gaussian_cost
from pipelines.maths.maps import as_map, common_size
from pipelines.maths.regressors import channels
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = False


class Options(PluginOptions):
    """mean of ((mu(F_s) - F_t)^2 / v + log v) / 2 over channels and positions (Ahn et al., CVPR 2019, eq. 5-7);
    mu = W3 relu(W2 relu(W1 F_s)) of 1 x 1 convolutions, v = softplus(a_c) + eps one variance per channel.

    Without the constant log(2 pi) / 2. The variance is trained with the adapter (one common re-implementation forgets
    it in its optimiser). Not zero at a perfect fit: log v / 2 is left, with no lower bound but eps.
    The larger map is pooled to the smaller. Stages are added up.
    """

    kind: Literal["vid"] = "vid"
    eps: Annotated[float, Field(gt=0)] = 1e-5
    first_variance: Annotated[float, Field(gt=1e-4)] = 5.0


class Predictor(nn.Module):
    """The mean's three convolutions and the variance's parameter, for one pair of layers."""

    def __init__(self, inward: int, outward: int, options: Options) -> None:
        super().__init__()
        self.w1 = nn.Conv2d(inward, outward, 1, bias=False)
        self.w2 = nn.Conv2d(outward, outward, 1, bias=False)
        self.w3 = nn.Conv2d(outward, outward, 1, bias=False)
        self.log_scale = nn.Parameter(
            torch.full((outward,), math.log(math.expm1(options.first_variance - options.eps)))
        )

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.w3(torch.relu(self.w2(torch.relu(self.w1(as_map(features)))))))


def adapter(options: Options, shapes: Shapes) -> nn.Module:
    """Returns one predictor per stage."""
    both = zip(shapes.student, shapes.teacher, strict=True)
    return nn.ModuleList([Predictor(channels(s), channels(t), options) for s, t in both])


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B], possibly negative."""
    assert isinstance(adapter, nn.ModuleList)
    parts = []
    for predictor, (student, teacher) in zip(adapter, pairs(batch), strict=True):
        smaller, target = common_size(student, teacher.detach())
        v_C11 = (F.softplus(cast(Predictor, predictor).log_scale) + options.eps)[:, None, None]
        parts.append(0.5 * gaussian_cost(predictor(smaller) - target, v_C11).flatten(1).mean(1))
    return torch.stack(parts).sum(0)
