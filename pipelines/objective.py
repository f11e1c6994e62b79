"""The objective: the only place where losses are weighted, masked and reduced.

    loss = sum_t share_t * term_t / sum_t share_t,   term_t = sum over its rows of loss / number of its rows

A term with no row in a batch contributes nothing (and no NaN). Terms are returned as sums and counts, so that data
parallel workers divide by the true number of rows of the global batch. Methods, fusions, weightings and lenses are
plug-ins; see their contracts in `method.py`, `fusion.py`, `weighting.py`, `lens.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from foundation import registry
from foundation.errors import ConfigError
from foundation.model import PluginOptions
from pipelines.lens import Lenses, Temperatures
from pipelines.method import LogitLoss
from pipelines.objective_config import ObjectiveConfig, TermConfig
from pipelines.student_weighting import Moment
from pipelines.teacher_logits import SignalSource, TeacherLogits
from pipelines.weighting import renormalise


@dataclass(frozen=True)
class TermSum:
    """A term on some rows: the sum of its losses, and the number of rows counted (None: every row given)."""

    total: Tensor
    count: Tensor | None


class Term(Protocol):
    """One term, ready to be computed; `always_full` promises that every row given is counted."""

    always_full: bool

    def losses(self, student_logits_BC: Tensor, positions_B: Tensor, labels_B: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns loss_B and which rows count, bool [B] (None: all)."""
        ...


class LabelTerm:
    """A method that compares with true labels; unlabelled rows don't count."""

    def __init__(self, config: TermConfig, labels_M: Tensor) -> None:
        self._method = partial(registry.load("method", config.method.kind).loss, options=config.method)
        self.always_full = bool((labels_M >= 0).all())

    def losses(self, student_logits_BC: Tensor, positions_B: Tensor, labels_B: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.always_full:
            return self._method(student_logits_BC, labels_B), None
        return self._method(student_logits_BC, labels_B.clamp_min(0)), labels_B >= 0


class TeacherTerm:
    """A method that compares with teachers, through lenses, a weighting and a fusion."""

    def __init__(self, config: TermConfig, source: SignalSource, rows_M: Tensor) -> None:
        self._weighting = registry.load("weighting", config.weighting.kind)
        self._weighting_options = config.weighting
        fusion = registry.load("fusion", config.fusion.kind)
        self._per_teacher: bool = fusion.PER_TEACHER
        self._fuse = partial(fusion.fuse, options=config.fusion)
        method = registry.load("method", config.method.kind)
        self._compare = partial(method.loss, options=config.method)
        self._wants_labels: bool = method.NEEDS.labels
        self._sees_student = "student" in getattr(self._weighting, "SEES", ())
        active = list(range(len(source.teachers)))
        self._weights_K1: Tensor | None = None
        if not self._weighting.PER_ROW:
            weights_K1 = self._weighting.weights(config.weighting, None, None, source.teachers)
            # A teacher of weight 0 is not even read: leaving it out changes nothing but the time.
            active = torch.nonzero(weights_K1[:, 0] > 0)[:, 0].tolist()
            self._weights_K1 = weights_K1[active].to(rows_M.device)
        lenses = Lenses.of(config.lenses, source.teachers)
        self._lenses = lenses
        chosen = [lenses.temperature[index] for index in active]
        self._temperature = Temperatures.of(chosen, device=str(rows_M.device))
        self._source = source.bind(rows_M, active)
        self.always_full = self._source.complete
        if getattr(method, "SPANS_BATCH", False) and not self.always_full:
            raise ConfigError(
                "A method that compares the rows of a batch with each other needs every row's label.",
                expected="labels of every teacher",
                found=f"{config.method.kind} on row set {config.rows!r}, where some are missing",
                next_step="run `raydistill label`, choose cache.missing: drop with another method, or other rows",
            )

    def losses(self, student_logits_BC: Tensor, positions_B: Tensor, labels_B: Tensor) -> tuple[Tensor, Tensor | None]:
        teachers = self._source.logits(positions_B)
        weights_KB = self._weights_K1
        if weights_KB is None:
            options: PluginOptions = self._weighting_options
            moment = [Moment(student_logits_BC, self._temperature)] if self._sees_student else []
            weights_KB = self._weighting.weights(options, teachers, labels_B, self._source.teachers, *moment)
        counted_B = None
        if not teachers.complete:
            weights_KB = renormalise(weights_KB, teachers.present_KB)
            counted_B = weights_KB.sum(0) > 0
        student = student_logits_BC
        if self._lenses.signal:
            known_K1C = teachers.class_mask_KC.unsqueeze(1)
            teachers = TeacherLogits(
                self._lenses.look(teachers.logits_KBC, known_K1C),
                teachers.class_mask_KC,
                teachers.present_KB,
                teachers.complete,
            )
            student = self._lenses.look(student, known_K1C if self._per_teacher else known_K1C.any(0))
        method: LogitLoss = partial(self._compare, labels_B=labels_B) if self._wants_labels else self._compare
        return self._fuse(method, student, teachers, weights_KB, self._temperature), counted_B


class Objective:
    """All terms of a configuration, bound to the rows, labels and teachers of one training.

    Args:
        config: the terms.
        rows: row set name -> positions that may be trained on, int64 [M].
        labels_N: class indexes by position, -1 where there is no label.
        source: teacher signals; None when no term of positive share compares with teachers.

    Raises `ConfigError` for a term whose row set doesn't exist, or that needs teachers or labels that aren't there.
    """

    def __init__(
        self, config: ObjectiveConfig, rows: Mapping[str, Tensor], labels_N: Tensor, source: SignalSource | None
    ) -> None:
        whole = sum(term.share for term in config.terms.values())
        self.terms: dict[str, Term] = {}
        self.shares: dict[str, float] = {}
        self.row_sets: dict[str, str] = {}
        for name, term in config.terms.items():
            if term.rows not in rows:
                raise ConfigError(
                    "A term uses a row set that doesn't exist.",
                    expected=", ".join(rows),
                    found=term.rows,
                    where=f"objective.terms.{name}.rows",
                )
            if term.share > 0:
                self.terms[name] = _bind_term(name, term, rows[term.rows], labels_N, source)
                self.shares[name] = term.share / whole
                self.row_sets[name] = term.rows
        self.always_full = all(term.always_full for term in self.terms.values())

    def sums(
        self, logits: Mapping[str, Tensor], positions: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> dict[str, TermSum]:
        """Returns each term's sum and count on a batch.

        The three mappings go from row set to the student's logits [B, C], positions [B] and labels [B].
        """
        out = {}
        for name, term in self.terms.items():
            rows = self.row_sets[name]
            loss_B, counted_B = term.losses(logits[rows], positions[rows], labels[rows])
            if counted_B is None:
                out[name] = TermSum(loss_B.sum(), None)
            else:
                out[name] = TermSum(torch.where(counted_B, loss_B, 0.0).sum(), counted_B.sum())
        return out

    def value(self, sums: Mapping[str, TermSum], rows: Mapping[str, int]) -> Tensor:
        """Returns the scalar loss of one worker's batch; `rows` is the batch length per row set."""
        total = torch.zeros(())
        for name, term in sums.items():
            count = float(rows[self.row_sets[name]]) if term.count is None else term.count
            mean = term.total / count.clamp_min(1) if isinstance(count, Tensor) else term.total / max(count, 1.0)
            total = total + self.shares[name] * mean
        return total


def needs_teachers(term: TermConfig) -> bool:
    """True where a term's method compares with teachers."""
    return bool(registry.load("method", term.method.kind).NEEDS.signals)


def _bind_term(name: str, term: TermConfig, rows_M: Tensor, labels_N: Tensor, source: SignalSource | None) -> Term:
    where = f"objective.terms.{name}"
    if not needs_teachers(term):
        labels_M = labels_N[rows_M]
        if not bool((labels_M >= 0).any()):
            raise ConfigError(
                "A term learns from labels, but none of its rows has one.",
                found=f"row set {term.rows!r}: {len(rows_M)} rows, 0 labels",
                where=where,
                next_step="choose another row set, or remove the term",
            )
        return LabelTerm(term, labels_M)
    if source is None:
        raise ConfigError("A term compares with teachers, but there are none.", where=where)
    if not len(rows_M):
        raise ConfigError("A term's row set is empty.", found=term.rows, where=where)
    return TeacherTerm(term, source, rows_M)
