"""Brings a run's stored predictions together: all students and teachers over one order of rows.

Joined by row key, never by position. What the numbers mean is left to `measures`, `panel` and `compare`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foundation.errors import DataError
from orchestrator.report.inputs import Inputs, RosterStudent, TeacherInfo, read_inputs
from orchestrator.report.predictions import Predictions, Role, read_predictions
from teachers.row_keys import RowKeys, locate


@dataclass(frozen=True)
class TeacherAnswers:
    """One teacher on the report's rows.

    Attributes:
        info: who it is.
        positions_S: int64 [S], where its classes stand among the data's C classes.
        logits_NS: float32 [N, S], its own columns; zeros where it has no answer.
        present_N: bool [N], rows it has an answer for.
    """

    info: TeacherInfo
    positions_S: np.ndarray
    logits_NS: np.ndarray
    present_N: np.ndarray

    def answers_N(self) -> np.ndarray:
        """The class it answers, as a position among the data's classes: int64 [N]."""
        return np.asarray(self.positions_S[self.logits_NS.argmax(axis=1)])

    def probabilities_NC(self, classes: int, temperature: float = 1.0) -> np.ndarray:
        """Its tempered probabilities over all data classes, float64 [N, C]: zero for classes it doesn't know."""
        out = np.zeros((len(self.logits_NS), classes))
        out[:, self.positions_S] = softmax(self.logits_NS / temperature)
        return out


@dataclass(frozen=True)
class Gathered:
    """Everything a report is computed from. `logits` maps student name -> seed -> float32 [N, C]."""

    inputs: Inputs
    keys: RowKeys
    labels_N: np.ndarray
    logits: dict[str, dict[int, np.ndarray]]
    teachers: tuple[TeacherAnswers, ...]

    @property
    def labelled_N(self) -> np.ndarray:
        return self.labels_N >= 0

    @property
    def has_labels(self) -> bool:
        return bool(self.labelled_N.any())

    @property
    def focal(self) -> RosterStudent:
        """The student the report is about: the searched one, or the one trained as configured."""
        return next(one for one in self.inputs.roster if one.kind == "searched")


def gather(run_dir: Path) -> Gathered:
    """Reads inputs and predictions of a run.

    Raises `DataError` where predictions are missing or don't fit each other, `CorruptionError` where bytes changed.
    """
    inputs = read_inputs(run_dir)
    if not any(one.kind == "searched" for one in inputs.roster):
        raise DataError("The roster has no student to report on.", expected="one of kind 'searched'", where=run_dir)
    classes, seeds = inputs.context.classes, inputs.context.seeds
    first = read_predictions(run_dir, "students", inputs.roster[0].name, seeds[0])
    if len(first) == 0 or len(np.unique(first.keys)) != len(first):
        raise DataError("Predictions need at least one row, and each row once.", found=len(first), where=run_dir)
    logits: dict[str, dict[int, np.ndarray]] = {}
    for student in inputs.roster:
        logits[student.name] = {}
        for seed in seeds:
            stored = read_predictions(run_dir, "students", student.name, seed)
            place = f"students/{student.name}, seed {seed}"
            logits[student.name][seed] = _align(stored, first, len(classes), place)
    teachers = tuple(_teacher(run_dir, info, first, classes) for info in inputs.teachers)
    return Gathered(inputs, first.keys, first.labels_N, logits, teachers)


def softmax(logits_NC: np.ndarray) -> np.ndarray:
    """Row-wise softmax in float64: [N, C] -> [N, C]."""
    shifted = logits_NC.astype(np.float64) - logits_NC.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _align(stored: Predictions, first: Predictions, columns: int, place: str) -> np.ndarray:
    """Returns a student's logits in the order of `first`; every row must be there, with the same label."""
    if (found := stored.logits_NC.shape[1]) != columns:
        raise DataError("A student has another number of classes.", expected=columns, found=found, where=place)
    where_N = locate(stored.keys, first.keys)
    if len(stored) != len(first) or (where_N < 0).any():
        facts = {"expected": f"{len(first)} rows", "found": f"{len(stored)} rows", "where": place}
        raise DataError("Students were evaluated on different rows.", **facts)
    if not np.array_equal(stored.labels_N[where_N], first.labels_N):
        raise DataError("Students were evaluated against different labels.", where=place)
    return np.asarray(stored.logits_NC[where_N])


def _teacher(run_dir: Path, info: TeacherInfo, first: Predictions, classes: tuple[str, ...]) -> TeacherAnswers:
    role: Role = "teachers"
    stored = read_predictions(run_dir, role, info.name, 0)
    if unknown := [name for name in info.classes if name not in classes]:
        raise DataError("A teacher knows classes the data don't have.", found=unknown, where=info.name)
    if (found := stored.logits_NC.shape[1]) != (wanted := len(info.classes)):
        raise DataError("A teacher's columns don't fit its classes.", expected=wanted, found=found, where=info.name)
    positions_S = np.array([classes.index(name) for name in info.classes], dtype=np.int64)
    where_N = locate(stored.keys, first.keys)
    present_N = where_N >= 0
    logits_NS = np.zeros((len(first), len(info.classes)), dtype=np.float32)
    logits_NS[present_N] = stored.logits_NC[where_N[present_N]]
    return TeacherAnswers(info, positions_S, logits_NS, present_N)
