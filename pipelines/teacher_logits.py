"""Contract: what several teachers say about a batch, and where it comes from.

Methods, fusions and weightings see `TeacherLogits` and never know whether they were cached, asked live, shuffled or
frozen to a constant; that is the business of a `SignalSource` (`pipelines/signal_source.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class TeacherLogits:
    """Untempered logits of K teachers for B rows, columns in the order of the data's classes.

    Attributes:
        logits_KBC: float32; 0 where a teacher doesn't know the class, and in rows it has no label for.
        class_mask_KC: bool; True where the teacher knows the class.
        present_KB: bool; False where a teacher's label for the row is missing.
        complete: True promises that `present_KB` is all True, which saves the arithmetic of the missing.
    """

    logits_KBC: Tensor
    class_mask_KC: Tensor
    present_KB: Tensor
    complete: bool = False


class SignalSource(Protocol):
    """Teacher signals by position in the run's data."""

    @property
    def teachers(self) -> tuple[str, ...]:
        """Names of the K teachers, in the order of the first axis."""
        ...

    @property
    def class_mask_KC(self) -> Tensor:
        """Which classes each teacher knows, bool [K, C]."""
        ...

    @property
    def complete(self) -> bool:
        """True promises that no label is missing among the rows it is bound to (or all rows, unbound)."""
        ...

    def logits(self, positions_B: Tensor) -> TeacherLogits:
        """Returns what the teachers say about the rows at `positions_B` (int64 [B])."""
        ...

    def bind(self, rows_M: Tensor, teachers: Sequence[int]) -> SignalSource:
        """Returns a source of only these teachers (indexes), about to be asked for rows `rows_M` only.

        Binding is the moment for checks and for work that is done once: missing labels are refused here.
        """
        ...
