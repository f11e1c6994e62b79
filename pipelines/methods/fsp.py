"""Flow of the solution procedure: how a network gets from one layer to the next, as products of their channels."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from foundation.errors import ConfigError
from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, pairs, same_width
from pipelines.maths.maps import channel_products, mean_square
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = False


class Options(PluginOptions):
    """sum over adjacent stages of mean (G_s - G_t)^2, G_dc = mean over positions of bottom_d top_c (Yim et al.,
    CVPR 2017, eq. 1-2).

    Mean over channel pairs and rows. Of two adjacent maps the larger is pooled to the smaller. Student and teacher must
    have equal channels at every stage, and at least two stages.
    """

    kind: Literal["fsp"] = "fsp"


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B]; zero at student = teacher. Raises `ConfigError` for unequal channels or a single stage."""
    return by_step(batch).sum(0)


def by_step(batch: FeatureBatch) -> Tensor:
    """Returns losses per pair of adjacent stages, [S - 1, B]."""
    same_width("fsp", pairs(batch))
    if len(batch.student) < 2:
        raise ConfigError("The method `fsp` needs at least two layers.", found=len(batch.student), where="method")
    gaps = [
        channel_products(batch.student[i + 1], batch.student[i])
        - channel_products(batch.teacher[i + 1], batch.teacher[i]).detach()
        for i in range(len(batch.student) - 1)
    ]
    return torch.stack([mean_square(gap) for gap in gaps])
