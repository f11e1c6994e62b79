"""Activation boundary: each neuron is on where the teacher's is on, by a margin."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, Shapes, bridged, pairs, same_width
from pipelines.maths.maps import common_size
from pipelines.maths.regressors import Conv1x1, channels
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = False


class Options(PluginOptions):
    """sum over elements of (s + m)^2 where the teacher is off (t <= 0) and s > -m, of (s - m)^2 where it is on and
    s <= m, else 0; stage i of n counts 2^(i - n + 1) (Heo, Lee, Yun, Choi: Knowledge Transfer via Distillation of
    Activation Boundaries, AAAI 2019, eq. 4-5). Layers are taken BEFORE the ReLU.

    Sum over channels and positions, per row (a common code multiplies by 3/1000: that is the term's share here).
    Where channels differ, a trainable 1 x 1 convolution with batch normalisation brings the student to the teacher's.
    Only the signs of the teacher matter. Zero when every element is right by the margin, which student = teacher need
    not be.
    """

    kind: Literal["activation_boundary"] = "activation_boundary"
    margin: Annotated[float, Field(gt=0)] = 1.0


def adapter(options: Options, shapes: Shapes) -> nn.Module | None:
    """Returns connectors, or None where all layers have the teacher's channels."""
    both = list(zip(shapes.student, shapes.teacher, strict=True))
    if all(channels(s) == channels(t) for s, t in both):
        return None
    return nn.ModuleList([Conv1x1(channels(s), channels(t)) for s, t in both])


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B]."""
    stages = pairs(bridged(batch, adapter))
    same_width("activation_boundary", stages)
    last = len(stages) - 1
    parts = [2.0 ** (i - last) * _wrong_side(s, t.detach(), options.margin) for i, (s, t) in enumerate(stages)]
    return torch.stack(parts).sum(0)


def _wrong_side(student: Tensor, teacher: Tensor, margin: float) -> Tensor:
    s, t = common_size(student, teacher)
    off = ((s + margin).square()).where((s > -margin) & (t <= 0), 0.0)
    on = ((s - margin).square()).where((s <= margin) & (t > 0), 0.0)
    return (off + on).flatten(1).sum(1)
