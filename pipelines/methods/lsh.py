"""Feature mimicking by hashing: random hyperplanes see student and teacher on the same side."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, Shapes, Stages, pairs, want
from pipelines.maths.maps import mean_square, stack_rows
from pipelines.maths.regressors import channels
from pipelines.method import LOGITS, Needs

NEEDS = Needs(labels=True, signals=(FEATURES, LOGITS))
SPANS_BATCH = True


class Options(PluginOptions):
    """l = mean_n BCE(sigmoid(W f_s + b), 1[W f_t + b > 0]), + mean_d (f_s - f_t)^2 with `l2` (Wang, Ge, Wu: Distilling
    Knowledge by Mimicking Features, TPAMI 2022, eq. 5-9), W ~ N(0, std^2) fixed, b = - median over training
    rows of W f_t.

    only_right: rows on which the teacher is wrong have loss 0 and the others are weighed up by B / (teacher-right
        rows), so the mean over rows is the authors' masked mean; without any the loss is 0 (theirs divides by 0).
    hashes: number of hyperplanes per layer, 0 = 32 for every feature of the teacher. std: the authors take the standard
        deviation of the teacher's classifier weights.
    The median is the lower of the two middle values. Where widths differ a trainable linear layer goes before.
    Hashing leaves the length of f_s free; `l2` pins it. Labels of -1 count as wrong. Vectors only: flatten maps first.
    Not zero at student = teacher: a cross-entropy with hard bits.
    """

    kind: Literal["lsh"] = "lsh"
    hashes: Annotated[int, Field(ge=0)] = 0
    std: Annotated[float, Field(gt=0)] = 1.0
    seed: int = 0
    l2: bool = True
    only_right: bool = True


class Hyperplanes(nn.Module):
    """Fixed directions and offsets, kept with the checkpoint; a linear layer where the student's width differs."""

    weight_ND: Tensor
    bias_N: Tensor

    def __init__(self, inward: int, outward: int, options: Options) -> None:
        super().__init__()
        count = options.hashes or 32 * outward
        generator = torch.Generator().manual_seed(options.seed)
        self.register_buffer("weight_ND", torch.randn(count, outward, generator=generator) * options.std)
        self.register_buffer("bias_N", torch.zeros(count))
        self.bridge: nn.Module = nn.Identity() if inward == outward else nn.Linear(inward, outward)

    def forward(self, rows: Tensor) -> Tensor:
        return F.linear(rows, self.weight_ND, self.bias_N)


def adapter(options: Options, shapes: Shapes) -> nn.Module:
    """Returns hyperplanes per stage, with offsets 0 until `prepare`."""
    both = zip(shapes.student, shapes.teacher, strict=True)
    return nn.ModuleList([Hyperplanes(channels(s), channels(t), options) for s, t in both])


def prepare(adapter: nn.Module, teacher: Stages, options: Options) -> None:
    """Sets every hyperplane's offset so that the training rows' median lies on it."""
    assert isinstance(adapter, nn.ModuleList)
    for module, stage in zip(adapter, teacher, strict=True):
        planes = cast(Hyperplanes, module)
        planes.bias_N.copy_(-(stack_rows(stage) @ planes.weight_ND.mT).median(0).values)


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B]."""
    assert isinstance(adapter, nn.ModuleList)
    total = torch.stack([_mimic(m, s, t, options) for m, (s, t) in zip(adapter, pairs(batch), strict=True)]).sum(0)
    if not options.only_right:
        return total
    logits_BC, labels_B = want("lsh", batch.teacher_logits_BC, batch.labels_B)
    right_B = logits_BC.argmax(-1) == labels_B
    return total.where(right_B, 0.0) * (len(total) / right_B.sum().clamp_min(1))


def _mimic(module: nn.Module, student: Tensor, teacher: Tensor, options: Options) -> Tensor:
    planes = cast(Hyperplanes, module)
    s, t = planes.bridge(stack_rows(student)), stack_rows(teacher.detach())
    bits = (planes(t) > 0).to(s.dtype)
    hashed = F.binary_cross_entropy_with_logits(planes(s), bits, reduction="none").mean(1)
    return hashed + mean_square(s - t) if options.l2 else hashed
