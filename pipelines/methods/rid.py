"""Redundant information distillation: filter what of the teacher is about the label, and learn only that."""

from __future__ import annotations

import math
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, Shapes, pairs, want
from pipelines.maths.gaussian import gaussian_cost
from pipelines.maths.maps import as_map, common_size, mean_square
from pipelines.maths.regressors import Conv1x1, channels
from pipelines.method import Needs

NEEDS = Needs(labels=True, signals=(FEATURES,))
SPANS_BATCH = True


class Options(PluginOptions):
    """Layers k with a teacher filter t_k, a student filter s_k, a head on t_k, and v = softplus(a) + 1e-3 per channel:
        student phase    sum_k mean( log v + (s_k - sg t_k)^2 / v )
        teacher phase    sum_k CE(head(relu t_k), y) + mean( (sg s_k - t_k)^2 / sg v )     `first_round`: only the CE
    (Dissanayake et al.: Quantifying Knowledge Distillation Using Partial Information Decomposition, AISTATS 2025; from
    the authors' code, the paper's own loss was not read). sg = stop-gradient; means over rows, channels, positions.

    spread: `log` is the Gaussian likelihood and the default; `square` puts v^2 in its place, as the authors'
    alternating
        class does. The alternation of phases is a schedule's; the student's own cross-entropy is a term of its own.
    Filters: 1x1 convolution with BN, ReLU, 1x1 convolution, to the student's channels. With `log` the loss is not zero
    at equality and can be negative. Rows without a label have no CE.
    """

    kind: Literal["rid"] = "rid"
    phase: Literal["student", "teacher", "first_round"] = "student"
    spread: Literal["log", "square"] = "log"


class Layer(nn.Module):
    """Filters, head and variance of one pair of layers."""

    def __init__(self, student: tuple[int, ...], teacher: tuple[int, ...], classes: int) -> None:
        super().__init__()
        width = channels(student)
        self.student = _filter(width, width)
        self.teacher = _filter(channels(teacher), width)
        self.head = nn.Linear(width * math.prod(teacher[1:]), max(1, classes))
        self.raw_variance = nn.Parameter(torch.full((width,), 5.0))


def adapter(options: Options, shapes: Shapes) -> nn.Module:
    """Returns one layer per stage; teacher filters and heads train in the teacher phase only."""
    both = zip(shapes.student, shapes.teacher, strict=True)
    return nn.ModuleList([Layer(s, t, shapes.classes) for s, t in both])


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B]."""
    assert isinstance(adapter, nn.ModuleList)
    total = []
    for module, (student, teacher) in zip(adapter, pairs(batch), strict=True):
        layer = cast(Layer, module)
        filtered = layer.teacher(as_map(teacher.detach()))
        s, t = common_size(layer.student(as_map(student)), filtered)
        if options.phase == "student":
            total.append(mimic(s, t.detach(), layer.raw_variance, options.spread))
            continue
        (labels_B,) = want("rid", batch.labels_B)
        total.append(about_labels(layer.head(torch.relu(filtered).flatten(1)), labels_B))
        if options.phase == "teacher":
            total.append(coupling(s.detach(), t, layer.raw_variance.detach()))
    return torch.stack(total).sum(0)


def variance(raw: Tensor) -> Tensor:
    """Returns v [C, 1, 1] from the unconstrained parameter."""
    return (F.softplus(raw.flatten()) + 1e-3)[:, None, None]


def mimic(student: Tensor, teacher: Tensor, raw_variance: Tensor, spread: str) -> Tensor:
    """Returns the student phase's loss [B] of one layer."""
    v = variance(raw_variance)
    if spread == "log":
        return gaussian_cost(student - teacher, v).flatten(1).mean(1)
    return coupling(student, teacher, raw_variance) + v.square().mean()


def coupling(student: Tensor, teacher: Tensor, raw_variance: Tensor) -> Tensor:
    """Returns the mean of (s - t)^2 / v over channels and positions, [B]."""
    return mean_square((student - teacher) / variance(raw_variance).sqrt())


def about_labels(logits_BC: Tensor, labels_B: Tensor) -> Tensor:
    """Returns the cross-entropy [B]; 0 for rows without a label."""
    known_B = labels_B >= 0
    return F.cross_entropy(logits_BC, labels_B.clamp_min(0), reduction="none").where(known_B, 0.0)


def _filter(inward: int, outward: int) -> nn.Sequential:
    return nn.Sequential(Conv1x1(inward, outward), nn.ReLU(), nn.Conv2d(outward, outward, 1))
