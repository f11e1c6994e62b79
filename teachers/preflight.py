"""One small batch before any work: does the teacher answer for the declared classes, finitely, and row by row?

Refused here, before the first shard: a wrong number of classes, other names or another order (where the model says
its own), ragged or non-numeric answers, NaN on every probe row's value, answers that are random, and answers that
depend on the other rows of the batch (a batch norm left in training mode, a softmax over the wrong axis).
"""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foundation.errors import PreflightError, RaydistillError
from teachers.build import LogitTeacher
from teachers.names import classes_line
from teachers.rows import Rows

PROBE_ROWS = 8
# Matrix kernels round differently for one row than for eight; real dependence on the batch is far above this.
ROW_BOUND = 1e-4


@dataclass(frozen=True)
class PreflightReport:
    """What was measured. `row_dependence` is the largest difference between batch and single answers, relative."""

    teacher: str
    classes: tuple[str, ...]
    seconds_per_row: float
    row_dependence: float
    rows: int


def preflight(
    teacher: LogitTeacher,
    rows: Rows,
    *,
    classes: tuple[str, ...],
    batch_size: int,
    positions: np.ndarray | None = None,
) -> PreflightReport:
    """Returns the report. `positions` are the rows that will be labelled (default: all). Raises `PreflightError`."""
    _check_names(teacher, classes)
    pool = np.arange(len(rows)) if positions is None else positions
    spread = pool[np.unique(np.linspace(0, len(pool) - 1, PROBE_ROWS).astype(np.int64))]
    batch_BC = _ask(teacher, rows, spread)
    _check_finite(teacher, batch_BC)
    dependence = _check_rows_stand_alone(teacher, rows, spread, batch_BC)
    full = np.resize(pool, batch_size)
    start = time.perf_counter()
    _ask(teacher, rows, full)
    seconds = (time.perf_counter() - start) / batch_size
    return PreflightReport(teacher.name, teacher.card.classes, seconds, dependence, len(spread))


def _check_names(teacher: LogitTeacher, classes: tuple[str, ...]) -> None:
    own = teacher.own_classes
    if own is None or own == classes:
        return
    same_set = sorted(own) == sorted(classes)
    raise PreflightError(
        "A teacher's classes are in another order." if same_set else "A teacher answers for other classes.",
        expected=", ".join(classes),
        found=", ".join(own),
        where=f"teachers.{teacher.name}.classes",
        next_step=f"declare the teacher's own order: {classes_line(own)}",
    )


def _ask(teacher: LogitTeacher, rows: Rows, positions: np.ndarray) -> np.ndarray:
    try:
        return teacher.logits(rows.take(positions))
    except RaydistillError as error:
        raise PreflightError(
            error.summary,
            expected=error.expected,
            found=error.found,
            where=error.where or f"teachers.{teacher.name}",
            next_step=error.next_step,
        ) from error
    except Exception as error:
        raise PreflightError(
            "A teacher failed on a small batch.",
            expected=f"an answer for {len(positions)} rows",
            found=f"{type(error).__name__}: {error}"[:300],
            where=f"teachers.{teacher.name}, {_last_line(error)}",
        ) from error


def _last_line(error: Exception) -> str:
    """Where it was raised: the file's name and the line, without folders."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name} line {frame.lineno}"


def _check_finite(teacher: LogitTeacher, batch_BC: np.ndarray) -> None:
    """A probe of healthy rows has to be finite; rare bad rows are the host's policy, a teacher of NaN is refused."""
    bad_BC = ~np.isfinite(batch_BC)
    if not bad_BC.any():
        return
    columns = [name for name, bad in zip(teacher.card.classes, bad_BC.any(axis=0), strict=True) if bad]
    raise PreflightError(
        "A teacher answers with numbers that are not finite.",
        expected="finite logits",
        found=f"{int(bad_BC.any(axis=1).sum())} of {len(batch_BC)} rows, classes {', '.join(columns)}",
        where=f"teachers.{teacher.name}",
        next_step="leave classes the teacher doesn't know out of `classes`; exact zeros need gives: probabilities",
    )


def _check_rows_stand_alone(teacher: LogitTeacher, rows: Rows, positions: np.ndarray, batch_BC: np.ndarray) -> float:
    again = _difference(batch_BC, _ask(teacher, rows, positions))
    if again > ROW_BOUND:
        raise PreflightError(
            "A teacher answers the same question differently each time.",
            expected=f"differences up to {ROW_BOUND:g}",
            found=f"{again:.3g}",
            where=f"teachers.{teacher.name}",
            next_step="switch dropout and sampling off, fix the seed",
        )
    order = np.arange(len(positions))[::-1]
    permuted_BC = _ask(teacher, rows, positions[order])[order]
    single_BC = np.concatenate([_ask(teacher, rows, positions[row : row + 1]) for row in range(len(positions))])
    dependence = max(_difference(batch_BC, permuted_BC), _difference(batch_BC, single_BC))
    if dependence > ROW_BOUND:
        raise PreflightError(
            "A teacher's answer for a row depends on the other rows of the batch.",
            expected=f"differences up to {ROW_BOUND:g} between a batch of {len(positions)} and single rows",
            found=f"{dependence:.3g}",
            where=f"teachers.{teacher.name}",
            next_step="use evaluation mode (batch norm); normalise per row, not per batch",
        )
    return dependence


def _difference(first_BC: np.ndarray, second_BC: np.ndarray) -> float:
    """Largest difference, relative to the size of the logits where that is above 1."""
    with np.errstate(invalid="ignore"):
        gap = np.abs(first_BC.astype(np.float64) - second_BC) / np.maximum(1.0, np.abs(first_BC))
    return float(np.max(np.nan_to_num(gap, nan=np.inf), initial=0.0))
