"""Contrastive representation distillation: student and teacher agree on which row is which, among many others."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, Shapes, want
from pipelines.maths.correlation import unit
from pipelines.maths.maps import stack_rows
from pipelines.maths.regressors import channels
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = True


class Options(PluginOptions):
    """L(o1) + L(o2), L(o) = - log(o_0 / (o_0 + q + 1e-7)) - sum_{k=1..K} log(q / (o_k + q + 1e-7)), q = K / rows (Tian,
    Krishnan, Isola: Contrastive Representation Distillation, ICLR 2020, eq. 17-18, by noise-contrastive estimation).

    s = norm(W_s f_s + b_s), t likewise; o1_k = exp(m_t[k] . s / T) / Z1, o2_k = exp(m_s[k] . t / T) / Z2 with memories
    m of every row's last embeddings, column 0 the row itself, the others drawn at random from all rows (`seed`, step).
    Z = rows x mean of the first batch's exponentials, a constant. `remember`, after the optimiser's step, moves a row's
    memory: norm(momentum m + (1 - momentum) s). Both embeddings are trained. Never zero. Rows are told apart by their
    position in the run's data, `rows_B`. Memory: two tables [rows, width] in the checkpoint. Data parallel: each rank's
    memory must see all ranks' rows (gather before `remember`).
    """

    kind: Literal["crd"] = "crd"
    negatives: Annotated[int, Field(ge=1)] = 16384
    width: Annotated[int, Field(ge=1)] = 128
    temperature: Annotated[float, Field(gt=0)] = 0.07
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.5
    seed: int = 0


class Memory(nn.Module):
    """Embeddings and what is remembered of every row. Buffers: tables, normalisers (-1 = not set), steps taken."""

    student_ND: Tensor
    teacher_ND: Tensor
    normaliser_2: Tensor
    step: Tensor

    def __init__(self, student: int, teacher: int, rows: int, options: Options) -> None:
        super().__init__()
        self.student = nn.Linear(student, options.width)
        self.teacher = nn.Linear(teacher, options.width)
        generator = torch.Generator().manual_seed(options.seed)
        for name in ("student_ND", "teacher_ND"):
            self.register_buffer(name, unit(torch.randn(rows, options.width, generator=generator)))
        self.register_buffer("normaliser_2", torch.full((2,), -1.0))
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    def embed(self, batch: FeatureBatch) -> tuple[Tensor, Tensor]:
        student, teacher = stack_rows(batch.student[0]), stack_rows(batch.teacher[0].detach())
        return unit(self.student(student)), unit(self.teacher(teacher))

    def draw(self, rows_B: Tensor, options: Options) -> Tensor:
        """Returns contrast rows [B, 1 + K], the row itself first; a function of seed and step."""
        generator = torch.Generator().manual_seed(options.seed * 1_000_003 + int(self.step))
        others = torch.randint(0, len(self.student_ND), (len(rows_B), options.negatives), generator=generator)
        return torch.cat([rows_B.unsqueeze(1), others.to(rows_B.device)], dim=1)


def adapter(options: Options, shapes: Shapes) -> nn.Module:
    """Returns embeddings and memory for `shapes.rows` rows."""
    return Memory(channels(shapes.student[0]), channels(shapes.teacher[0]), max(1, shapes.rows), options)


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B]."""
    memory = cast(Memory, adapter)
    (rows_B,) = want("crd", batch.rows_B)
    return contrast(batch, memory, memory.draw(rows_B, options), options)


def contrast(batch: FeatureBatch, memory: Memory, chosen_BK: Tensor, options: Options) -> Tensor:
    """Returns losses [B] against the given contrast rows, column 0 the row itself."""
    noise = (chosen_BK.shape[1] - 1) / len(memory.student_ND)
    z1, z2 = normalisers(batch, memory, chosen_BK, options)
    first, second = _scores(batch, memory, chosen_BK, options)
    return _estimate(first / z1, noise) + _estimate(second / z2, noise)


@torch.no_grad()
def normalisers(batch: FeatureBatch, memory: Memory, chosen_BK: Tensor, options: Options) -> Tensor:
    """Returns Z1, Z2: those remembered, or for the first time those of this batch."""
    found = torch.stack([scores.mean() for scores in _scores(batch, memory, chosen_BK, options)])
    return torch.where(memory.normaliser_2 > 0, memory.normaliser_2, found * len(memory.student_ND))


@torch.no_grad()
def remember(batch: FeatureBatch, adapter: nn.Module, options: Options, chosen_BK: Tensor | None = None) -> None:
    """Moves the memories of the batch's rows, and sets the normalisers the first time."""
    memory = cast(Memory, adapter)
    (rows_B,) = want("crd", batch.rows_B)
    chosen = memory.draw(rows_B, options) if chosen_BK is None else chosen_BK
    memory.normaliser_2.copy_(normalisers(batch, memory, chosen, options))
    for table, now in zip((memory.student_ND, memory.teacher_ND), memory.embed(batch), strict=True):
        table[rows_B] = unit(options.momentum * table[rows_B] + (1 - options.momentum) * now)
    memory.step += 1


def _scores(batch: FeatureBatch, memory: Memory, chosen_BK: Tensor, options: Options) -> tuple[Tensor, Tensor]:
    student, teacher = memory.embed(batch)
    first = (memory.teacher_ND[chosen_BK] @ student.unsqueeze(-1)).squeeze(-1)
    second = (memory.student_ND[chosen_BK] @ teacher.unsqueeze(-1)).squeeze(-1)
    return (first / options.temperature).exp(), (second / options.temperature).exp()


def _estimate(odds_BK: Tensor, noise: float) -> Tensor:
    total = odds_BK + noise + 1e-7
    return -(odds_BK[:, 0] / total[:, 0]).log() - (noise / total[:, 1:]).log().sum(1)
