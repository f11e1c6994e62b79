"""Neuron selectivity transfer: the student's channels respond to the same places as the teacher's, as a population."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, added_up
from pipelines.maths.correlation import unit
from pipelines.maths.maps import common_size
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = False


class Options(PluginOptions):
    """k(t, t) + k(s, s) - 2 k(s, t), k = mean over channel pairs of (a . b)^2, channel maps at unit length: the squared
    maximum mean discrepancy with a polynomial kernel (Huang and Wang 2017, eq. 4 with eq. 9).

    Per row. The larger map is pooled to the smaller; numbers of channels may differ. The constant k(t, t) stays in, so
    the loss is zero at student = teacher. Invariant to the order of channels and to positive factors on channels.
    """

    kind: Literal["nst"] = "nst"


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B] from maps [B, C, H, W]."""

    def one_pair(student: Tensor, teacher: Tensor) -> Tensor:
        a, b = (unit(maps.flatten(2)) for maps in common_size(student, teacher))
        return _kernel(b, b) + _kernel(a, a) - 2 * _kernel(a, b)

    return added_up(batch, one_pair)


def _kernel(a_BCN: Tensor, b_BDN: Tensor) -> Tensor:
    return (a_BCN @ b_BDN.mT).square().flatten(1).mean(1)
