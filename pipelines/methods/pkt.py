"""Probabilistic knowledge transfer: each row's neighbourhood, as probabilities, is the teacher's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, added_up
from pipelines.maths.correlation import length
from pipelines.maths.maps import stack_rows
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = True


class Options(PluginOptions):
    """mean_ij P_t,ij log((P_t,ij + eps) / (P_s,ij + eps)), P = S / row sum, S = (1 + cosine) / 2 (Passalis and Tefas,
    ECCV 2018, eq. 6-8).

    Mean over all B^2 entries (a divergence summed over rows and divided by B^2); the diagonal stays in, where the paper
    conditions on j != i. eps is added to norms, too. Row i carries the mean over j. Invariant to rotations and to the
    scale of any row (up to eps). A zero feature has cosine 0 to all, slope 0.
    """

    kind: Literal["pkt"] = "pkt"
    eps: Annotated[float, Field(gt=0)] = 1e-7


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B]; the mean over rows is zero at student = teacher and never below -eps."""

    def one_pair(student: Tensor, teacher: Tensor) -> Tensor:
        p, q = _neighbours(teacher, options.eps), _neighbours(student, options.eps)
        return (p * ((p + options.eps).log() - (q + options.eps).log())).mean(1)

    return added_up(batch, one_pair)


def _neighbours(features: Tensor, eps: float) -> Tensor:
    rows = stack_rows(features)
    size = length(rows, keepdim=True)
    rows = (rows / (size + eps)).where(size > 0, 0.0)
    alike = (rows @ rows.mT + 1) / 2
    return alike / alike.sum(1, keepdim=True)
