"""Contract: a method that compares inner signals (features, maps, tokens) instead of class logits.

Such a file in `pipelines/methods/` has

    class Options(PluginOptions)                    the docstring gives idea, formula, source, conventions
    NEEDS = Needs(...)                              signals of the teacher; `labels` where it learns from them
    SPANS_BATCH: bool                               True: a row's loss depends on the other rows of the call
    def loss(batch: FeatureBatch, adapter, options) -> [B]
    def adapter(options, shapes: Shapes) -> nn.Module | None       only where something is trained beside the student
    def prepare(adapter, teacher_stages, options) -> None          only where constants are fitted to the training rows

An adapter belongs to checkpoint and optimiser; it never leaves with the exported student unless the method says that it
grafts a head. Stages run from shallow to deep; a vector [B, D] is a map of size 1 x 1 wherever maps are wanted. Stages
are compared pair by pair unless the method says otherwise; several pairs are added up. Methods are pure: the same batch
and adapter give the same losses. Teacher signals never carry gradient unless the method trains on the teacher's side.
Data parallel: what spans the batch means the rows given in one call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from foundation.errors import ConfigError
from pipelines.maths.classes import wide
from teachers.signals import SignalRequest

FEATURES = SignalRequest("features")
Stages = tuple[Tensor, ...]


@dataclass(frozen=True)
class FeatureBatch:
    """What a feature method sees of B rows.

    Attributes:
        student, teacher: features per stage, [B, D], [B, C, H, W] or tokens [B, N, D]; shapes may differ by side.
        labels_B: int64, -1 = none. student_logits_BC, teacher_logits_BC: untempered.
        rows_B: int64 position of each row in the run's data, for methods that remember rows.
        valid_BN: bool, tokens that count.
    """

    student: Stages
    teacher: Stages
    labels_B: Tensor | None = None
    student_logits_BC: Tensor | None = None
    teacher_logits_BC: Tensor | None = None
    rows_B: Tensor | None = None
    valid_BN: Tensor | None = None


@dataclass(frozen=True)
class Shapes:
    """What an adapter is built from: per stage the shape of one row, and the sizes of the problem."""

    student: tuple[tuple[int, ...], ...]
    teacher: tuple[tuple[int, ...], ...]
    classes: int = 0
    rows: int = 0

    @classmethod
    def of(cls, batch: FeatureBatch, *, classes: int = 0, rows: int = 0) -> Shapes:
        student, teacher = (tuple(tuple(x.shape[1:]) for x in side) for side in (batch.student, batch.teacher))
        return cls(student, teacher, classes, rows)


def pairs(batch: FeatureBatch) -> list[tuple[Tensor, Tensor]]:
    """Returns (student, teacher) stage by stage. Raises `ConfigError` when the sides have different numbers of them."""
    if len(batch.student) != len(batch.teacher) or not batch.student:
        raise ConfigError(
            "Student and teacher must give the same number of layers.",
            expected=f"{len(batch.teacher)} layers",
            found=f"{len(batch.student)} layers",
            where="method",
        )
    return list(zip(batch.student, batch.teacher, strict=True))


def added_up(batch: FeatureBatch, one_pair: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Returns the sum over stages of `one_pair(student, teacher)` [B]."""
    return torch.stack([one_pair(student, teacher.detach()) for student, teacher in pairs(batch)]).sum(0)


def bridged(batch: FeatureBatch, adapter: nn.Module | None) -> FeatureBatch:
    """Returns the batch with every student stage sent through its module of the adapter; unchanged without one."""
    if adapter is None:
        return batch
    assert isinstance(adapter, nn.ModuleList)
    students = tuple(bridge(wide(student)) for bridge, (student, _) in zip(adapter, pairs(batch), strict=True))
    return replace(batch, student=students)


def want(name: str, *parts: Tensor | None) -> tuple[Tensor, ...]:
    """Returns the parts of a batch that a method can't do without. Raises `ConfigError` when one is missing."""
    found = tuple(part for part in parts if part is not None)
    if len(found) != len(parts):
        raise ConfigError(f"The method `{name}` was not given what it needs.", where="method")
    return found


def same_width(name: str, shapes: Shapes | Sequence[tuple[Tensor, Tensor]]) -> None:
    """Raises `ConfigError` unless every student stage has the channels of its teacher stage."""
    both = (
        list(zip(shapes.student, shapes.teacher, strict=True))
        if isinstance(shapes, Shapes)
        else [(tuple(s.shape[1:]), tuple(t.shape[1:])) for s, t in shapes]
    )
    for index, (student, teacher) in enumerate(both):
        if student[0] != teacher[0]:
            raise ConfigError(
                f"The method `{name}` compares layers of equal width.",
                expected=teacher[0],
                found=student[0],
                where=f"layer pair {index}",
            )
