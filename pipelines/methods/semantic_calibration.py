"""SemCKD: which teacher layer teaches which student layer is learnt, row by row."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from foundation.errors import ConfigError
from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, Shapes
from pipelines.maths.correlation import unit
from pipelines.maths.maps import as_map, common_size, mean_square, stack_rows
from pipelines.maths.regressors import bottleneck, channels
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = True


class Options(PluginOptions):
    """(1 / S) sum_{i,j} a_bij mean (F_t,j - r_ij(F_s,i))^2, a_bij = softmax_j(q_bi . k_bj / soft) (Chen et al.:
    Cross-Layer Distillation with Semantic Calibration, AAAI 2021, eq. 5-8).

    q and k: two-layer perceptrons at unit length of row b of the Gram matrix F F^T of the layer, so the batch size is
    baked into the adapter (`batch`), another size is refused, and the order of the batch matters, as in the original.
    r_ij: 1x1, 3x3, 1x1 convolutions with BN and ReLU between; the larger map is pooled first. The attention is not
    detached: the Gram path carries gradient. The numbers of student and teacher layers may differ. Data parallel: Gram
    rows of one call.
    """

    kind: Literal["semantic_calibration"] = "semantic_calibration"
    batch: Annotated[int, Field(ge=1)]
    soft: Annotated[float, Field(gt=0)] = 1.0
    width: Annotated[int, Field(ge=1)] = 64


class Embedding(nn.Module):
    """Linear, ReLU, linear, unit length."""

    def __init__(self, inward: int, width: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(inward, 2 * width)
        self.linear2 = nn.Linear(2 * width, width)

    def forward(self, rows: Tensor) -> Tensor:
        return unit(self.linear2(torch.relu(self.linear1(rows))))


class Calibration(nn.Module):
    """Queries of the student's layers, keys of the teacher's, and a bridge for every pair."""

    def __init__(self, options: Options, shapes: Shapes) -> None:
        super().__init__()
        self.batch = options.batch
        self.query = nn.ModuleList([Embedding(options.batch, options.width) for _ in shapes.student])
        self.key = nn.ModuleList([Embedding(options.batch, options.width) for _ in shapes.teacher])
        self.bridge = nn.ModuleList(
            nn.ModuleList(bottleneck(channels(s), 2 * channels(t), channels(t), last=False) for t in shapes.teacher)
            for s in shapes.student
        )

    def attention(self, batch: FeatureBatch, soft: float) -> Tensor:
        """Returns a [B, S, J]: for every row and student layer, shares of the teacher's layers."""
        queries = torch.stack([q(_gram(s)) for q, s in zip(self.query, batch.student, strict=True)], dim=1)
        keys = torch.stack([k(_gram(t.detach())) for k, t in zip(self.key, batch.teacher, strict=True)], dim=1)
        return torch.softmax(queries @ keys.mT / soft, dim=2)


def adapter(options: Options, shapes: Shapes) -> nn.Module:
    """Returns the calibration network for batches of `options.batch` rows."""
    return Calibration(options, shapes)


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B]. Raises `ConfigError` for a batch of another size than the adapter was built for."""
    calibration = cast(Calibration, adapter)
    if len(batch.student[0]) != calibration.batch:
        raise ConfigError(
            "The method `semantic_calibration` takes batches of one size.",
            expected=f"{calibration.batch} rows",
            found=f"{len(batch.student[0])} rows",
            where="method.batch",
        )
    distance_BSJ = torch.stack(
        [
            torch.stack([_distance(b, s, t) for b, t in zip(row, batch.teacher, strict=True)], dim=1)
            for row, s in zip(_rows(calibration.bridge), batch.student, strict=True)
        ],
        dim=1,
    )
    return (calibration.attention(batch, options.soft) * distance_BSJ).sum(2).mean(1)


def _rows(bridges: nn.ModuleList) -> list[list[nn.Module]]:
    return [list(cast(nn.ModuleList, row)) for row in bridges]


def _distance(bridge: nn.Module, student: Tensor, teacher: Tensor) -> Tensor:
    s, t = as_map(student), as_map(teacher.detach())
    s, _ = common_size(s, t) if s.shape[2] > t.shape[2] else (s, t)
    a, b = common_size(bridge(s), t)
    return mean_square(a - b)


def _gram(features: Tensor) -> Tensor:
    rows = stack_rows(features)
    return rows @ rows.mT
