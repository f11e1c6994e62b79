"""Overhaul of feature distillation: match what the teacher's ReLU lets through, and ask no more below a margin."""

from __future__ import annotations

import math
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, Shapes, Stages, pairs
from pipelines.maths.maps import as_map
from pipelines.maths.regressors import Conv1x1, channels
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = False


class Options(PluginOptions):
    """sum over stages i of 1 / 2^(n - 1 - i) sum_{c,h,w} d(x, t), x = BN(conv1x1(F_s)), t the teacher's layer BEFORE
    ReLU (Heo et al.: A Comprehensive Overhaul of Feature Distillation, ICCV 2019, eq. 3-5), m the margin of the
    channel, m < 0:
        d = (x - t)^2 for t > 0;  (x - t)^2 for m < t <= 0 where x > t;  (x - m)^2 for t <= m where x > m;  else 0

    m is the channel's mean negative response: `margin_of_norm` from the teacher's batch normalisation where it is
    known, else `prepare` takes the mean over the training rows. Sum over channels and positions, per row: scripts use a
    weight of about 1e-3. The teacher's map is pooled to the student's size. Batch normalisation of the connector makes
    rows depend on each other in training.
    """

    kind: Literal["margin_feature"] = "margin_feature"


class Connector(nn.Module):
    """One stage's bridge and the teacher's margins (a constant, kept with the checkpoint)."""

    margin_C: Tensor

    def __init__(self, inward: int, outward: int) -> None:
        super().__init__()
        self.bridge = Conv1x1(inward, outward)
        self.register_buffer("margin_C", torch.zeros(outward))

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.bridge(features))


def adapter(options: Options, shapes: Shapes) -> nn.Module:
    """Returns one connector per stage; margins are 0 until `prepare` or `margin_of_norm` gives them."""
    both = zip(shapes.student, shapes.teacher, strict=True)
    return nn.ModuleList([Connector(channels(s), channels(t)) for s, t in both])


def prepare(adapter: nn.Module, teacher: Stages, options: Options) -> None:
    """Sets margins to the mean negative response of each channel over the rows given; 0 where there is none."""
    assert isinstance(adapter, nn.ModuleList)
    for connector, stage in zip(adapter, teacher, strict=True):
        values = as_map(stage).movedim(1, 0).flatten(1)
        below = values.clamp_max(0).sum(1) / (values < 0).sum(1).clamp_min(1)
        cast(Connector, connector).margin_C.copy_(below)


def margin_of_norm(weight_C: Tensor, bias_C: Tensor) -> Tensor:
    """Returns E[x | x < 0] of N(bias, weight^2) per channel; -3 |weight| where only 0.1 % is below zero."""
    spread, centre = weight_C.abs(), bias_C
    ratio = centre / spread
    below = 0.5 * torch.erfc(ratio / math.sqrt(2))
    mean = centre - spread * torch.exp(-0.5 * ratio.square()) / (math.sqrt(2 * math.pi) * below)
    return torch.where(below > 0.001, mean, -3 * spread)


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B]."""
    assert isinstance(adapter, nn.ModuleList)
    stages, total = pairs(batch), []
    for index, (connector, (student, teacher)) in enumerate(zip(adapter, stages, strict=True)):
        x = connector(student)
        t = F.adaptive_avg_pool2d(as_map(teacher.detach()), (x.shape[2], x.shape[3]))
        part = _partial_distance(x, t, cast(Connector, connector).margin_C[:, None, None])
        total.append(part / 2 ** (len(stages) - 1 - index))
    return torch.stack(total).sum(0)


def _partial_distance(x: Tensor, t: Tensor, margin: Tensor) -> Tensor:
    target = torch.maximum(t, margin)  # below the margin, the margin is all that is asked
    counts = (t > 0) | (x > target)
    return ((x - target).square()).where(counts, 0.0).flatten(1).sum(1)
