"""Teacher signals read from the label cache.

Row keys are looked up once per data set; a batch is then one gather per teacher, or, where all labels fit the budget,
one gather from a single tensor [N, K, C] in memory. What the cache is and how it verifies its bytes: `teachers/cache`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from foundation.errors import ConfigError, DataError
from pipelines.class_map import class_columns, class_mask
from pipelines.teacher_logits import TeacherLogits
from teachers.row_keys import RowKeys

BUDGET_BYTES = 256 << 20
Missing = Literal["error", "renormalise", "drop"]
Array = np.ndarray[Any, np.dtype[Any]]


class Reader(Protocol):
    """What is needed of the cache's reader of one entry."""

    def locate(self, keys_N: RowKeys) -> Array:
        """Returns offsets, int64 [N]; -1 where the entry has no label."""
        ...

    def take(self, offsets: Array) -> Array:
        """Returns logits, float32 [B, C'], columns in the teacher's own class order."""
        ...


class CachedSource:
    """Cached labels of K teachers for the N rows of the data.

    Args:
        readers: teacher name -> reader of its entry.
        teacher_classes: teacher name -> class names in the order of its columns.
        keys_N: row keys of all rows of the data; positions index them.
        classes: class names of the data.
        missing: what to do about rows that will be used and that a teacher has no label for: `error` refuses,
            `renormalise` shares the absent teacher's weight out, `drop` leaves the row out for all teachers (also
            when the absent one has weight 0, so that every student compared sees the same rows).
        budget_bytes: labels are kept in memory while they need no more than this.
    """

    def __init__(
        self,
        readers: Mapping[str, Reader],
        teacher_classes: Mapping[str, Sequence[str]],
        keys_N: RowKeys,
        classes: Sequence[str],
        *,
        missing: Missing = "error",
        budget_bytes: int = BUDGET_BYTES,
        device: str = "cpu",
    ) -> None:
        if not readers:
            raise ConfigError("A source of teacher signals needs at least one teacher.", where="teachers")
        self.teachers = tuple(readers)
        self._readers = [readers[name] for name in self.teachers]
        columns = {name: class_columns(classes, name, teacher_classes[name]) for name in self.teachers}
        self._columns = [np.asarray(columns[name], dtype=np.int64) for name in self.teachers]
        self._classes, self._missing, self._device = len(classes), missing, device
        self.class_mask_KC = class_mask(columns, len(classes)).to(device)
        self._offsets_KN = np.stack([reader.locate(keys_N) for reader in self._readers])
        present_KN = self._offsets_KN >= 0
        self._labelled_KN = torch.from_numpy(present_KN)
        if missing == "drop":
            present_KN = np.broadcast_to(present_KN.all(axis=0), present_KN.shape)
        self._present_KN = torch.from_numpy(np.ascontiguousarray(present_KN)).to(device)
        self.complete = bool(present_KN.all())
        self._table_NKC: Tensor | None = None
        if present_KN.size * len(classes) * 4 <= budget_bytes:
            self._table_NKC = self._read(np.arange(present_KN.shape[1])).transpose(0, 1).contiguous().to(device)

    def logits(self, positions_B: Tensor) -> TeacherLogits:
        """See `SignalSource`. Raises `DataError` for a missing row under the policy `error`."""
        if self._table_NKC is not None:
            logits_KBC = self._table_NKC.index_select(0, positions_B).transpose(0, 1)
        else:
            logits_KBC = self._read(positions_B.cpu().numpy()).to(self._device)
        if not self.complete and self._missing == "error":
            self._refuse_missing(positions_B)
        present_KB = self._present_KN.index_select(1, positions_B) if not self.complete else self._all(positions_B)
        return TeacherLogits(logits_KBC, self.class_mask_KC, present_KB, self.complete)

    def bind(self, rows_M: Tensor, teachers: Sequence[int]) -> CachedSource:
        """See `SignalSource`. Raises `DataError` when a row is missing and the policy is `error`."""
        chosen = list(teachers)
        bound = object.__new__(CachedSource)
        bound.__dict__.update(self.__dict__)
        if chosen != list(range(len(self.teachers))):
            bound.teachers = tuple(self.teachers[index] for index in chosen)
            bound._readers = [self._readers[index] for index in chosen]
            bound._columns = [self._columns[index] for index in chosen]
            bound._offsets_KN = self._offsets_KN[chosen]
            bound.class_mask_KC = self.class_mask_KC[chosen]
            bound._labelled_KN, bound._present_KN = self._labelled_KN[chosen], self._present_KN[chosen]
            if self._table_NKC is not None:
                bound._table_NKC = self._table_NKC[:, chosen].contiguous()
        if self._missing == "error":
            bound._refuse_missing(rows_M)
        bound.complete = bool(bound._present_KN[:, rows_M].all())
        return bound

    def _read(self, positions: Array) -> Tensor:
        out = np.zeros((len(self._readers), len(positions), self._classes), dtype=np.float32)
        for index, (reader, columns) in enumerate(zip(self._readers, self._columns, strict=True)):
            offsets = self._offsets_KN[index][positions]
            rows = np.flatnonzero(offsets >= 0)
            if len(rows):
                out[index][np.ix_(rows, columns)] = reader.take(offsets[rows])
        return torch.from_numpy(out)

    def _all(self, positions_B: Tensor) -> Tensor:
        one = torch.ones(1, 1, dtype=torch.bool, device=self._device)
        return one.expand(len(self.teachers), len(positions_B))

    def _refuse_missing(self, rows_M: Tensor) -> None:
        absent_K = (~self._labelled_KN[:, rows_M.cpu()]).sum(1).tolist()
        lacking = [f"{name}: {count}" for name, count in zip(self.teachers, absent_K, strict=True) if count]
        if lacking:
            raise DataError(
                "Some rows have no cached label.",
                expected=f"labels of every teacher for all {len(rows_M)} rows",
                found="rows missing: " + ", ".join(lacking),
                next_step="run `raydistill label`, or choose cache.missing: renormalise or drop",
            )
