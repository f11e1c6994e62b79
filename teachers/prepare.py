"""Does every host have the same teacher? `prepare` keeps a teacher's answers on 8 rows; each host has to repeat them.

Equal bytes pass at once. Other processors may round differently, so answers that differ by no more than the bound
under which labels count as equal pass too; anything more is another teacher.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from foundation.errors import TeacherError
from foundation.fingerprint import digest
from teachers.build import LogitTeacher
from teachers.row_keys import from_hex, locate, to_hex
from teachers.rows import Rows

PROBE_ROWS = 8
SAME_LABEL_BOUND = 1e-5  # logits this near count as the same label, on any machine


@dataclass(frozen=True)
class Prepared:
    """A teacher's answers on a few rows: small, JSON-able, sent to every host.

    Attributes:
        teacher: its name.
        card: fingerprint of its card.
        keys: row keys (hex) of the probe rows.
        answers: float32 logits, one list per row.
        answers_digest: blake3 over the little-endian bytes of the answers.
    """

    teacher: str
    card: str
    keys: tuple[str, ...]
    answers: tuple[tuple[float, ...], ...]
    answers_digest: str

    def to_json(self) -> dict[str, Any]:
        return {**self.__dict__, "keys": list(self.keys), "answers": [list(row) for row in self.answers]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Prepared:
        answers = tuple(tuple(float(value) for value in row) for row in data["answers"])
        return cls(data["teacher"], data["card"], tuple(data["keys"]), answers, data["answers_digest"])


def prepare(teacher: LogitTeacher, rows: Rows, positions: np.ndarray | None = None) -> Prepared:
    """Asks the teacher for 8 rows spread over `positions` (default: all rows) and returns what it said."""
    pool = np.arange(len(rows)) if positions is None else positions
    spread = pool[np.unique(np.linspace(0, len(pool) - 1, PROBE_ROWS).astype(np.int64))]
    logits_BC = teacher.logits(rows.take(spread))
    return Prepared(
        teacher=teacher.name,
        card=teacher.card.fingerprint,
        keys=tuple(to_hex(rows.keys[spread])),
        answers=tuple(tuple(float(value) for value in row) for row in logits_BC),
        answers_digest=_digest(logits_BC),
    )


def check_reproduces(prepared: Prepared, teacher: LogitTeacher, rows: Rows) -> float:
    """Returns the largest difference to the prepared answers (0.0: equal bytes).

    Raises `TeacherError` when this host's teacher has another card, misses the probe rows, or answers differently.
    """
    where = f"teachers.{prepared.teacher}"
    if teacher.card.fingerprint != prepared.card:
        raise TeacherError(
            "This host built another teacher.", expected=prepared.card, found=teacher.card.fingerprint, where=where
        )
    positions = locate(rows.keys, from_hex(prepared.keys))
    if (positions < 0).any():
        missing = prepared.keys[int(np.flatnonzero(positions < 0)[0])]
        raise TeacherError("This host reads other data.", expected=f"row {missing}", found="no such row", where=where)
    logits_BC = teacher.logits(rows.take(positions))
    if _digest(logits_BC) == prepared.answers_digest:
        return 0.0
    expected_BC = np.array(prepared.answers, dtype=np.float32)
    same = (logits_BC == expected_BC) | (np.isnan(logits_BC) & np.isnan(expected_BC))
    with np.errstate(invalid="ignore"):
        difference_BC = np.where(same, 0.0, np.abs(logits_BC.astype(np.float64) - expected_BC))
    largest = float(np.max(difference_BC)) if np.isfinite(difference_BC).all() else float("inf")
    if largest <= SAME_LABEL_BOUND:
        return largest
    row, column = np.unravel_index(int(np.argmax(np.nan_to_num(difference_BC, nan=np.inf))), difference_BC.shape)
    place = f"row {prepared.keys[int(row)]}, class {teacher.card.classes[int(column)]}"
    raise TeacherError(
        "This host's teacher answers differently from the prepared one.",
        expected=f"answers {prepared.answers_digest[:16]}, within {SAME_LABEL_BOUND:g}",
        found=f"largest difference {largest:.6g} ({place})",
        where=where,
        next_step="give every host the same library versions; fix random_state; remove randomness from the teacher",
    )


def _digest(logits_BC: np.ndarray) -> str:
    return digest(np.ascontiguousarray(logits_BC, dtype="<f4").tobytes())
