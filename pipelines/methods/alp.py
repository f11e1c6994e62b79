"""ALP: every student layer learns from an attention-weighted mixture of all teacher layers."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, Shapes
from pipelines.maths.maps import stack_rows
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = False


class Options(PluginOptions):
    """(1 / m) sum_j mean_d (C_j - h_s,j)^2, C_j = sum_i a_ji h_t,i, a_ji = softmax_i(h_s,j . h_t,i / sqrt(d)) (Passban,
    Wu, Rezagholizadeh, Liu: ALP-KD, AAAI 2021; one vector per layer).

    The paper has the plain dot product and a sum over student layers; 1 / sqrt(d) and the mean over layers are those of
    a third party's code. stable (default): layers are standardised per row and no gradient runs through the attention,
    because the plain form was seen to diverge with unnormalised layers; `stable: false` is the published form.
    Layers may differ in number. Where widths differ a trainable linear map brings the teacher's layers to the
    student's. One teacher layer: the plain hint on it.
    """

    kind: Literal["alp"] = "alp"
    stable: bool = True


def adapter(options: Options, shapes: Shapes) -> nn.Module | None:
    """Returns linear maps of the teacher's layers, or None where all have the student's width."""
    widths = [shape[0] for shape in shapes.teacher]
    wanted = shapes.student[0][0]
    return None if set(widths) == {wanted} else nn.ModuleList([nn.Linear(width, wanted) for width in widths])


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B] from vectors [B, d], one per layer."""
    student_BMD, teacher_BND = stacks(batch, adapter, options)
    mixed_BMD = attention(student_BMD, teacher_BND, options) @ teacher_BND
    return (mixed_BMD - student_BMD).square().mean((1, 2))


def stacks(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> tuple[Tensor, Tensor]:
    """Returns the layers of both sides stacked, [B, M, d] and [B, N, d]."""
    teacher = [stack_rows(stage.detach()) for stage in batch.teacher]
    if isinstance(adapter, nn.ModuleList):
        teacher = [linear(stage) for linear, stage in zip(adapter, teacher, strict=True)]
    sides = torch.stack([stack_rows(s) for s in batch.student], dim=1), torch.stack(teacher, dim=1)
    return (_standardised(sides[0]), _standardised(sides[1])) if options.stable else sides


def attention(student_BMD: Tensor, teacher_BND: Tensor, options: Options) -> Tensor:
    """Returns a [B, M, N]; rows sum to 1."""
    asked = student_BMD.detach() if options.stable else student_BMD
    return torch.softmax(asked @ teacher_BND.mT / asked.shape[-1] ** 0.5, dim=-1)


def _standardised(layers: Tensor) -> Tensor:
    centred = layers - layers.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-8).sqrt()
