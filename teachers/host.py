"""TeacherHost: takes a unit, asks the teacher, writes the shard, returns a receipt. A plain class; Ray is elsewhere.

Every question has the same number of rows (a short batch is filled up with its last row), so a unit that is labelled
again gives the same bits. (A row that stands at another place of its batch, because its unit was cut in two, may differ
in the last ones: matrix kernels round by place.) When memory runs out the batch is halved, and stays halved.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from foundation.errors import DataError, RaydistillError, TeacherError
from teachers.build import LogitTeacher
from teachers.cache.codec import Codec
from teachers.nonfinite import Policy, settle
from teachers.row_keys import to_hex
from teachers.rows import Rows
from teachers.units import Receipt, Unit

if TYPE_CHECKING:
    from teachers.cache.entry import Entry


class TeacherHost:
    """One loaded teacher, the rows it may be asked about, and the cache entry its labels belong to."""

    def __init__(
        self,
        name: str,
        teacher: LogitTeacher,
        rows: Rows,
        entry: Entry,
        *,
        nonfinite: Policy = "error",
        batch_size: int = 64,
        run: str = "",
    ) -> None:
        self.name = name
        self.batch_size = batch_size
        self._teacher = teacher
        self._rows = rows
        self._entry = entry
        self._codec = Codec(entry.codec_options)
        self._nonfinite = nonfinite
        self._run = run

    def label(self, unit: Unit, attempt: int = 1, stage: str = "label") -> Receipt:
        """Labels the unit's rows and returns the receipt of the stored shard.

        Raises `DataError` when the rows here aren't the unit's rows, `TeacherError` when the teacher fails, gives
        something that can't be stored (policy `error`) or runs out of memory with a single row, `StorageError` when
        the cache can't be written.
        """
        positions = self._verified(unit)
        start = time.perf_counter()
        logits_BC = self._ask(positions)
        seconds = time.perf_counter() - start
        settled = settle(logits_BC, self._codec, self._nonfinite, teacher=self.name, keys=unit.keys)
        keep = [row for row in range(len(unit.keys)) if row not in settled.reasons]
        return self._entry.write(
            unit,
            settled.logits_BC[keep],
            tuple(unit.keys[row] for row in keep),
            quarantined=tuple((unit.keys[row], why) for row, why in settled.reasons.items()),
            nonfinite=settled.clipped,
            attempt=attempt,
            run=self._run,
            stage=stage,
            seconds=seconds,
            batch_size=self.batch_size,
        )

    def close(self) -> None:
        """Releases the teacher."""
        self._teacher.close()

    def _verified(self, unit: Unit) -> np.ndarray:
        """The unit's positions, after comparing every row key with the data read here."""
        where = f"teachers.{self.name}, unit {unit.id}"
        if unit.entry != self._entry.id:
            raise DataError(
                "A unit belongs to another cache entry.", expected=self._entry.id, found=unit.entry, where=where
            )
        positions = np.array(unit.positions, dtype=np.int64)
        inside = (positions >= 0) & (positions < len(self._rows))
        keys = to_hex(self._rows.keys[positions[inside]])
        found = iter(keys)
        for index, key in enumerate(unit.keys):
            here = next(found) if inside[index] else "no such row"
            if here != key:
                raise DataError(
                    "The data changed after the work was planned.",
                    expected=f"row {key} at position {unit.positions[index]}",
                    found=here,
                    where=where,
                    next_step="run the same command again: it plans with the data as they are now",
                )
        return positions

    def _ask(self, positions: np.ndarray) -> np.ndarray:
        """Logits [B, C], in batches of one size; halves it for lack of memory and starts the unit over."""
        while True:
            try:
                return self._ask_in_batches(positions, self.batch_size)
            except RaydistillError:
                raise
            except Exception as error:
                if not _is_out_of_memory(error):
                    raise TeacherError(
                        "A teacher failed while it answered.",
                        found=f"{type(error).__name__}: {error}"[:400],
                        where=f"teachers.{self.name}",
                    ) from error
                if self.batch_size == 1:
                    raise self._too_large(positions, error) from error
            # Outside the handler: there the traceback would still hold the batch that didn't fit.
            self.batch_size //= 2
            _give_memory_back()

    def _ask_in_batches(self, positions: np.ndarray, size: int) -> np.ndarray:
        parts = []
        for start in range(0, len(positions), size):
            batch = positions[start : start + size]
            filled = np.concatenate([batch, np.full(size - len(batch), batch[-1], dtype=np.int64)])
            parts.append(self._teacher.logits(self._rows.take(filled))[: len(batch)])
        return np.concatenate(parts)

    def _too_large(self, positions: np.ndarray, error: Exception) -> TeacherError:
        inputs = self._rows.take(positions[:1])
        shapes = ", ".join(f"{name} {list(column.shape[1:])} {column.nbytes} bytes" for name, column in inputs.items())
        classes = len(self._teacher.card.classes)
        return TeacherError(
            "A teacher runs out of memory with a single row.",
            expected="an answer for a batch of 1",
            found=f"{type(error).__name__}: {str(error)[:200]}; one row: {shapes}; {classes} classes",
            where=f"teachers.{self.name}",
            next_step="give its hosts more memory (pool.resources, pool.num_gpus) or use a smaller teacher",
        )


def _is_out_of_memory(error: Exception) -> bool:
    """MemoryError, torch's own class, and the plain RuntimeError of torch's CPU allocator; torch isn't imported."""
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _give_memory_back() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
