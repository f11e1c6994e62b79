"""Attention transfer: the student is active at the positions where the teacher is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, added_up
from pipelines.maths.maps import attention, common_size, mean_square
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = False


class Options(PluginOptions):
    """mean over positions of (q(F_s) - q(F_t))^2, q(F) = mean_c F_c^p at unit length (Zagoruyko and Komodakis,
    ICLR 2017, eq. 2).

    Mean over positions where the paper sums (a factor H W). p is a whole number; an odd one keeps signs, where the
    paper takes |F|^p. The larger map is pooled to the smaller first. Channels may differ. Stages are added up.
    Invariant to a positive factor on either side. A map that is zero everywhere attends nowhere: q = 0, slope 0.
    """

    kind: Literal["attention_transfer"] = "attention_transfer"
    p: Annotated[int, Field(ge=1, le=8)] = 2


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B] from maps [B, C, H, W]."""

    def one_pair(student: Tensor, teacher: Tensor) -> Tensor:
        a, b = common_size(student, teacher)
        return mean_square(attention(a, options.p) - attention(b, options.p))

    return added_up(batch, one_pair)
