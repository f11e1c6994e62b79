"""Where teacher signals come from: the cache, live teachers, or (for controls) shuffled and constant teachers.

All give the same `TeacherLogits`, so nothing above can tell them apart. Classes are matched by name: a teacher's
columns are put into the order of the data's classes, unknown ones are masked. The contract is in `teacher_logits.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from pipelines.cached_source import CachedSource, Reader
from pipelines.class_map import class_columns, class_mask
from pipelines.order import permutation
from pipelines.teacher_logits import SignalSource, TeacherLogits
from teachers.rows import Rows
from teachers.signals import SignalRequest
from teachers.teacher import Teacher

__all__ = [
    "CachedSource",
    "ConstantSource",
    "LiveSource",
    "Reader",
    "ShuffledSource",
    "SignalSource",
    "TeacherLogits",
    "control",
]


class LiveSource:
    """Asks loaded teachers each time. Slow, exact, and the proof that a cached label is the same thing."""

    complete = True

    def __init__(
        self, teachers: Mapping[str, Teacher], rows: Rows, classes: Sequence[str], device: str = "cpu"
    ) -> None:
        self._teachers = dict(teachers)
        self._rows = rows
        self._classes = tuple(classes)
        self._device = device
        self._columns = {name: class_columns(classes, name, t.card.classes) for name, t in self._teachers.items()}
        self.class_mask_KC = class_mask(self._columns, len(classes)).to(device)

    @property
    def teachers(self) -> tuple[str, ...]:
        return tuple(self._teachers)

    def logits(self, positions_B: Tensor) -> TeacherLogits:
        inputs = self._rows.take(positions_B.cpu().numpy())
        request = SignalRequest("logits")
        out = torch.zeros(len(self._teachers), len(positions_B), len(self._classes))
        for index, (name, teacher) in enumerate(self._teachers.items()):
            answer = np.asarray(teacher.answer(inputs, (request,))[request].values_BC, dtype=np.float32)
            out[index][:, self._columns[name]] = torch.from_numpy(answer)
        present_KB = torch.ones(out.shape[:2], dtype=torch.bool, device=self._device)
        return TeacherLogits(out.to(self._device), self.class_mask_KC, present_KB, complete=True)

    def bind(self, rows_M: Tensor, teachers: Sequence[int]) -> LiveSource:
        names = [self.teachers[index] for index in teachers]
        return LiveSource({name: self._teachers[name] for name in names}, self._rows, self._classes, self._device)


class ShuffledSource:
    """Control: every row gets the teachers' answer for another row of `positions_M`, drawn once from `seed`."""

    def __init__(self, inner: SignalSource, positions_M: Tensor, seed: int) -> None:
        self.inner, self._positions_M, self._seed = inner, positions_M, seed
        order = permutation(seed, 0, len(positions_M), "control:shuffled")
        device = positions_M.device
        self._swap_N = torch.arange(int(positions_M.max()) + 1 if len(positions_M) else 0, device=device)
        self._swap_N[positions_M] = positions_M[torch.from_numpy(order).to(device)]

    @property
    def teachers(self) -> tuple[str, ...]:
        return self.inner.teachers

    @property
    def class_mask_KC(self) -> Tensor:
        return self.inner.class_mask_KC

    @property
    def complete(self) -> bool:
        return self.inner.complete

    def logits(self, positions_B: Tensor) -> TeacherLogits:
        return self.inner.logits(self._swap_N.index_select(0, positions_B))

    def bind(self, rows_M: Tensor, teachers: Sequence[int]) -> ShuffledSource:
        # Any row of the pool may be asked for in place of a bound one.
        inner = self.inner.bind(torch.cat([self._positions_M, rows_M]), teachers)
        return ShuffledSource(inner, self._positions_M, self._seed)


class ConstantSource:
    """Control: each teacher says the same for every row, the mean of its logits over `positions_M`."""

    def __init__(self, inner: SignalSource, positions_M: Tensor, chunk: int = 8192) -> None:
        parts = [inner.logits(positions_M[start : start + chunk]) for start in range(0, len(positions_M), chunk)]
        total = sum((p.logits_KBC * p.present_KB.unsqueeze(-1)).sum(1, dtype=torch.float64) for p in parts)
        count = sum(p.present_KB.sum(1) for p in parts)
        self.teachers = inner.teachers
        self.class_mask_KC = inner.class_mask_KC
        self._heard_K1 = torch.as_tensor(count).unsqueeze(1) > 0
        self.complete = bool(self._heard_K1.all())
        self._mean_KC = (total / torch.as_tensor(count).clamp_min(1).unsqueeze(1)).to(torch.float32)

    def logits(self, positions_B: Tensor) -> TeacherLogits:
        rows = len(positions_B)
        return TeacherLogits(
            self._mean_KC.unsqueeze(1).expand(-1, rows, -1),
            self.class_mask_KC,
            self._heard_K1.expand(-1, rows),
            self.complete,
        )

    def bind(self, rows_M: Tensor, teachers: Sequence[int]) -> ConstantSource:
        chosen = list(teachers)
        bound = object.__new__(ConstantSource)
        bound.teachers = tuple(self.teachers[index] for index in chosen)
        bound.class_mask_KC = self.class_mask_KC[chosen]
        bound._heard_K1, bound._mean_KC = self._heard_K1[chosen], self._mean_KC[chosen]
        bound.complete = bool(bound._heard_K1.all())
        return bound


def control(
    source: SignalSource, kind: Literal["teachers", "shuffled", "constant"], positions_M: Tensor, seed: int
) -> SignalSource:
    """Returns the source a job asks for: the teachers themselves, or one of the two controls over `positions_M`."""
    makers: dict[str, Any] = {
        "teachers": lambda: source,
        "shuffled": lambda: ShuffledSource(source, positions_M, seed),
        "constant": lambda: ConstantSource(source, positions_M),
    }
    made: SignalSource = makers[kind]()
    return made
