"""View consistency: two views of a row have alike profiles of features (the self-distillation part of KDC-MAE)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, pairs
from pipelines.maths.classes import wide
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = True


class Options(PluginOptions):
    """JS(q1, q2), q = (g + |min over the batch of g|) / row sum, g = mean over tokens (Bora et al., KDC-MAE, WACV 2025;
    in the released code's form: README and abstract speak of a KL).

    The shift carries gradient, and it ADDS |min| even where the smallest value is positive, as the code does. 1e-12
    goes inside the logarithms. Symmetric; 0 <= loss <= log 2; zero at equal views. Both sides carry gradient: "teacher"
    is the other view of the same weights, so nothing is cached. `weight` is the paper's factor of 10, left to the
    share. Data parallel: the minimum of one call.
    """

    kind: Literal["view_consistency"] = "view_consistency"
    eps: Annotated[float, Field(gt=0)] = 1e-12


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B] from tokens [B, N, D] or vectors [B, D] of the two views."""
    total = []
    for first, second in pairs(batch):
        p, q = profile(first), profile(second)
        middle = 0.5 * (p + q)
        halves = [(x * ((x + options.eps) / (middle + options.eps)).log()).sum(1) for x in (p, q)]
        total.append(0.5 * (halves[0] + halves[1]))
    return sum(total[1:], start=total[0])


def profile(tokens: Tensor) -> Tensor:
    """Returns q [B, D]: shares of the features, after the shift; equal shares for a row that is all minimum."""
    values = wide(tokens)
    pooled = values.mean(1) if values.dim() == 3 else values
    lifted = pooled + pooled.min().abs()
    sums = lifted.sum(1, keepdim=True)
    flat = lifted.new_full((), 1.0 / lifted.shape[1])
    return (lifted / sums.where(sums > 0, 1.0)).where(sums > 0, flat)
