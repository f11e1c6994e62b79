"""Relational distillation: distances between rows, and angles among three, are the teacher's."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, added_up
from pipelines.maths.correlation import unit
from pipelines.maths.maps import smooth_l1, stack_rows
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = True
_VERTICES = 16


class Options(PluginOptions):
    """w_dist huber(D_s - D_t) + w_angle huber(A_s - A_t) (Park, Kim, Lu, Cho: Relational Knowledge Distillation,
    CVPR 2019, eq. 3-9).

    D_ij = |f_i - f_j| over the mean of its positive entries; A_ijk = cosine at vertex i between j and k; Huber delta 1.
    Means over ALL B^2 pairs and B^3 triples, as in the usual code, where the paper counts distinct ones only: at batch
    B its value is ours times B / (B - 1), and more for angles. Row i carries its pairs and the triples with vertex i.
    `squared` takes |f_i - f_j|^2. The gradient runs through the mean distance. Invariant to rotation, shift and, by the
    mean, to scale. Equal rows: distance about 1e-6, no angle, slope 0.
    Angles are made for 16 vertices at a time and made again for the gradient: memory 16 B^2, never B^3 or B^2 D.
    """

    kind: Literal["relational"] = "relational"
    w_dist: Annotated[float, Field(ge=0)] = 25.0
    w_angle: Annotated[float, Field(ge=0)] = 50.0
    squared: bool = False


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B]; zero at student = teacher."""

    def one_pair(student: Tensor, teacher: Tensor) -> Tensor:
        s, t = stack_rows(student), stack_rows(teacher)
        total = s.new_zeros(len(s))
        if options.w_dist:
            gap = _distances(s, options.squared) - _distances(t, options.squared)
            total = total + options.w_dist * smooth_l1(gap).mean(1)
        if options.w_angle:
            total = total + options.w_angle * _angles(s, t)
        return total

    return added_up(batch, one_pair)


def _distances(rows: Tensor, squared: bool) -> Tensor:
    centred = rows - rows.mean(0)  # same distances, less cancellation
    norms = centred.square().sum(1)
    square = (norms.unsqueeze(0) + norms.unsqueeze(1) - 2 * centred @ centred.mT).clamp_min(1e-12)
    far = square if squared else square.sqrt()
    far = far * (1 - torch.eye(len(rows), dtype=far.dtype, device=far.device))
    positive = far > 0
    mean = far.sum() / positive.sum().clamp_min(1)
    return far / torch.where(mean > 0, mean, torch.ones_like(mean))


def _angles(s: Tensor, t: Tensor) -> Tensor:
    """Returns mean_jk huber(A_s,ijk - A_t,ijk) for every vertex i, a block of vertices at a time."""
    blocks = range(0, len(s), _VERTICES)
    parts = [
        checkpoint(_angles_at, s, t, start, min(start + _VERTICES, len(s)), use_reentrant=False) for start in blocks
    ]
    return torch.cat(parts)


def _angles_at(s: Tensor, t: Tensor, start: int, stop: int) -> Tensor:
    return torch.stack([smooth_l1(_cosines(s, i) - _cosines(t, i)).mean() for i in range(start, stop)])


def _cosines(rows: Tensor, vertex: int) -> Tensor:
    away = unit(rows - rows[vertex])
    return away @ away.mT
