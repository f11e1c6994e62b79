"""Similarity preserving: rows that are alike for the teacher are alike for the student."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, added_up
from pipelines.maths.correlation import unit
from pipelines.maths.maps import stack_rows
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = True


class Options(PluginOptions):
    """|G_s - G_t|_F^2 / B^2, G = F F^T [B, B] with rows at unit length (Tung and Mori, ICCV 2019, eq. 1-4).

    Row i carries sum_j (G_s,ij - G_t,ij)^2 / B, so the mean over rows is the paper's value. Widths may differ.
    Invariant to rotations and to one factor on all rows of a side. A zero feature is like nobody: a zero row, slope 0.
    """

    kind: Literal["similarity"] = "similarity"


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B]; zero at student = teacher."""
    return added_up(batch, lambda s, t: (_alike(s) - _alike(t)).square().mean(1))


def _alike(features: Tensor) -> Tensor:
    rows = stack_rows(features)
    return unit(rows @ rows.mT)
