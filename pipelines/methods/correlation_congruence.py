"""Correlation congruence: rows correlate, through a Gaussian kernel, as they do for the teacher."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, added_up
from pipelines.maths.correlation import unit
from pipelines.maths.maps import stack_rows
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = True


class Options(PluginOptions):
    """mean_ij (K_s,ij - K_t,ij)^2, K = sum_{p = 0..P} exp(-2 gamma) (2 gamma)^p / p! (f_i . f_j)^p, features at unit
    length: the Taylor series of a Gaussian kernel (Peng et al., ICCV 2019, eq. 7-9).

    Mean over B^2 pairs; row i carries the mean over j. Independent of the order of the batch; RepDistiller's function
    of this name compares neighbours in the batch instead and is not followed. Invariant to rotations and to the scale
    of any row. Zero features are like nobody, slope 0.
    """

    kind: Literal["correlation_congruence"] = "correlation_congruence"
    gamma: Annotated[float, Field(gt=0)] = 0.4
    order: Annotated[int, Field(ge=1, le=10)] = 2


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B]; zero at student = teacher."""
    return added_up(batch, lambda s, t: (_kernel(s, options) - _kernel(t, options)).square().mean(1))


def _kernel(features: Tensor, options: Options) -> Tensor:
    rows = unit(stack_rows(features))
    alike = rows @ rows.mT
    twice = 2 * options.gamma
    terms = [math.exp(-twice) * twice**p / math.factorial(p) * alike.pow(p) for p in range(options.order + 1)]
    return torch.stack(terms).sum(0)
