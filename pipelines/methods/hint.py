"""Hint: the student's layer, through a small trainable regressor, equals the teacher's."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, Shapes, added_up, bridged
from pipelines.maths.maps import common_size, mean_square
from pipelines.maths.regressors import Pointwise, SizeRegressor
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = False


class Options(PluginOptions):
    """mean over channels and positions of (r(F_s) - F_t)^2 (FitNets, Romero et al. 2015, eq. 3; there half the squared
    distance, here the mean as in the usual code).

    regressor: `conv` = convolution, batch normalisation, ReLU; `linear` = the same without ReLU, for teacher layers
        with negative values; `pointwise` = pooled to the smaller size first, then 1 x 1; `none` = layers of equal width
        as they are, the larger map pooled to the smaller.
    Batch normalisation makes rows depend on each other in training; the loss itself is per row. Stages are added up.
    """

    kind: Literal["hint"] = "hint"
    regressor: Literal["conv", "linear", "pointwise", "none"] = "conv"


def adapter(options: Options, shapes: Shapes) -> nn.Module | None:
    """Returns one regressor per stage, or None."""
    if options.regressor == "none":
        return None
    if options.regressor == "pointwise":
        return nn.ModuleList([Pointwise(s, t) for s, t in zip(shapes.student, shapes.teacher, strict=True)])
    relu = options.regressor == "conv"
    both = zip(shapes.student, shapes.teacher, strict=True)
    return nn.ModuleList([SizeRegressor(student, teacher, relu=relu) for student, teacher in both])


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B]; zero where the regressed layer equals the teacher's."""
    return added_up(bridged(batch, adapter), distance)


def distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Returns the mean squared difference [B] of two layers of equal width."""
    a, b = common_size(student, teacher)
    return mean_square(a - b)
