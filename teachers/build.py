"""From configuration to a teacher that keeps the contract: float32 logits, every answered row counted.

Backends return raw values in the meaning they declare (`gives`); the wrapper here turns them into logits:
    logits, log_probabilities   as they are (log p are logits)
    probabilities               log((p + eps) / (1 + eps * C)), eps = `floor`: finite where p = 0, still sums to 1
Whether values are finite is the host's business (`host.py`), by policy.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from foundation import registry
from foundation.errors import ConfigError, RaydistillError, TeacherError
from teachers.card import TeacherCard
from teachers.config import TeacherConfig
from teachers.footprint import footprint
from teachers.meter import TeacherMeter
from teachers.names import classes_line
from teachers.rows import FittingRows, Inputs
from teachers.signals import Logits, Signal, SignalRequest
from teachers.teacher import Teacher, TeacherContext

LOGITS = SignalRequest("logits")
_SUM_TOLERANCE = 1e-3


class FittingSource(Protocol):
    """Where rows to fit on come from; `pipelines.data.Dataset` is one."""

    def fitting_rows(self, split: str, label_column: str, classes: tuple[str, ...]) -> FittingRows: ...


def context_for(
    name: str,
    config: TeacherConfig,
    data_classes: Sequence[str],
    base_dir: Path,
    fitting: FittingSource | None = None,
    device: str = "cpu",
) -> TeacherContext:
    """Returns what the backend may know. `fitting` is the data set; it is asked only where `fit` is configured.

    Raises `ConfigError` when the teacher names a class the data don't have.
    """
    classes = config.classes or tuple(data_classes)
    for wanted in classes:
        if wanted not in data_classes:
            near = difflib.get_close_matches(wanted, data_classes, n=1)
            raise ConfigError(
                "A teacher names a class that the data don't have.",
                expected=", ".join(data_classes),
                found=repr(wanted),
                where=f"teachers.{name}.classes",
                next_step=f"did you mean {near[0]!r}?" if near else "use names from data.classes",
            )
    rows = None
    if config.fit is not None:
        if fitting is None:
            raise ConfigError("A teacher that is fitted here needs data.", where=f"teachers.{name}.fit")
        rows = fitting.fitting_rows(config.fit.rows, config.fit.label, classes)
    return TeacherContext(name, classes, base_dir, rows, device)


def card_of(name: str, config: TeacherConfig, context: TeacherContext) -> TeacherCard:
    """Returns the teacher's identity without loading or fitting it."""
    card: TeacherCard = registry.load("backend", config.backend.kind).card(config.backend, context)
    return card


def load_teacher(name: str, config: TeacherConfig, context: TeacherContext) -> LogitTeacher:
    """Loads (or fits) a teacher. Raises `TeacherError`; a backend's own exceptions are wrapped in one."""
    try:
        inner = registry.load("backend", config.backend.kind).load(config.backend, context)
    except RaydistillError:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {error}"[:400]
        raise TeacherError("A teacher can't be loaded.", found=text, where=f"teachers.{name}") from error
    TeacherMeter.add_load(name)
    return LogitTeacher(name, inner)


class LogitTeacher:
    """A teacher whose answers are float32 logits [B, C], metered. `own_classes`: what the model calls them."""

    def __init__(self, name: str, inner: Teacher) -> None:
        self.name = name
        self._inner = inner
        self._card = inner.card
        self.own_classes: tuple[str, ...] | None = getattr(inner, "own_classes", None)

    @property
    def card(self) -> TeacherCard:
        return self._card

    def answer(self, inputs: Inputs, requests: Sequence[SignalRequest]) -> Mapping[SignalRequest, Signal]:
        """Returns logits for B rows. Raises `TeacherError` when the answer hasn't the shape or meaning it declares."""
        rows = len(next(iter(inputs.values())))
        raw = self._inner.answer(inputs, requests)
        TeacherMeter.add(self.name, rows)
        return {request: Logits(self._logits(raw[request].values_BC, rows)) for request in requests}

    def logits(self, inputs: Inputs) -> np.ndarray:
        """Returns float32 [B, C]: the one signal most callers want."""
        return self.answer(inputs, (LOGITS,))[LOGITS].values_BC

    def bytes(self) -> int | None:
        """Bytes of the model's arrays, or None where they can't be seen."""
        return footprint(self._inner)

    def close(self) -> None:
        self._inner.close()

    def _logits(self, raw: object, rows: int) -> np.ndarray:
        values_BC = check_shape(raw, rows, self._card.classes, self.own_classes, self.name)
        if self._card.gives != "probabilities":
            return values_BC.astype(np.float32)
        return from_probabilities(values_BC, self._card.floor or 0.0, self.name)


def check_shape(raw: object, rows: int, classes: tuple[str, ...], own: tuple[str, ...] | None, name: str) -> np.ndarray:
    """Returns `raw` as a numeric array [rows, C]. Raises `TeacherError` that names the classes on both sides."""
    where = f"teachers.{name}"
    try:
        values = np.asarray(raw)
    except ValueError:
        values = np.asarray(None)
    if values.dtype.kind not in "iuf":
        found = f"{type(raw).__name__} of {values.dtype}"
        raise TeacherError("A teacher's answer is ragged or not numeric.", expected="floats", found=found, where=where)
    if values.ndim != 2 or values.shape[0] != rows:
        raise TeacherError(
            "A teacher's answer has the wrong shape.",
            expected=f"[{rows}, {len(classes)}]",
            found=list(values.shape),
            where=where,
        )
    if values.shape[1] != len(classes):
        line = classes_line(own) if own else f"classes: [...]  # the {values.shape[1]} names in column order"
        raise TeacherError(
            "A teacher answers for another number of classes.",
            expected=f"{len(classes)} classes: {', '.join(classes)}",
            found=f"{values.shape[1]} classes" + (f": {', '.join(own)}" if own else ""),
            where=where,
            next_step=f"declare the teacher's own classes: {line}",
        )
    return values


def from_probabilities(probabilities_BC: np.ndarray, floor: float, name: str) -> np.ndarray:
    """Returns log((p + eps) / (1 + eps C)), float32 [B, C]; NaN stays NaN. Raises `TeacherError` if p aren't any."""
    p_BC = probabilities_BC.astype(np.float64)
    sums_B = p_BC.sum(axis=1)
    finite_B = np.isfinite(sums_B)
    off_B = finite_B & ((np.abs(sums_B - 1) > _SUM_TOLERANCE) | (p_BC < -_SUM_TOLERANCE).any(axis=1))
    if off_B.any():
        row = int(np.flatnonzero(off_B)[0])
        raise TeacherError(
            "A teacher's probabilities aren't probabilities.",
            expected="values from 0 to 1 that sum to 1",
            found=f"sum {sums_B[row]:.4g}, smallest {p_BC[row].min():.4g}",
            where=f"teachers.{name}.backend.gives",
            next_step="say what the teacher gives: logits, log_probabilities or probabilities",
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        out_BC: np.ndarray = np.log((np.maximum(p_BC, 0.0) + floor) / (1.0 + floor * p_BC.shape[1]))
    out_BC = out_BC.astype(np.float32)
    return out_BC
