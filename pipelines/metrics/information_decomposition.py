"""What teacher and student know about the label: shared, each alone, and only together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from foundation.model import PluginOptions
from pipelines.metric import Array, labelled

HIGHER_IS_BETTER = True
_BARRIER = 1e-7  # the error of the result in nats
_NEWTON_STEPS = 50


class Options(PluginOptions):
    """Redundancy Red(Y : teacher's class, student's class) in nats: what the student has of the teacher's knowledge.

    Partial information decomposition of Bertschinger, Rauh, Olbrich, Jost, Ay (2014), as used by Dissanayake et al.
    (AISTATS 2025): among all Q with P's (X1, Y) and (X2, Y) marginals take Q* of least I(Y; X1, X2); then
        Red = I*(Y;X1) + I*(Y;X2) - I*(Y;X1,X2),  Uni_1 = I*(Y;X1|X2),  Syn = I_P(Y;X1,X2) - I*(Y;X1,X2)
    Q* by an interior-point method. Cost: (classes - 1)^2 x labels unknowns at most; about ten seconds for
    ten classes that all occur together.
    """

    kind: Literal["information_decomposition"] = "information_decomposition"


@dataclass(frozen=True)
class Decomposition:
    """Nats. redundant + unique_1 + unique_2 + synergy = I(Y; X1, X2)."""

    redundant: float
    unique_1: float
    unique_2: float
    synergy: float


def measure(logits_NC: Array, labels_N: Array, *, teacher_NC: Array | None = None, **extra: Any) -> float:
    """Returns the redundancy of the most likely classes; NaN without teachers or labelled rows."""
    if teacher_NC is None:
        return float("nan")
    student, labels = labelled(logits_NC, labels_N)
    teacher, _ = labelled(teacher_NC, labels_N)
    if not len(labels):
        return float("nan")
    classes = student.shape[1]
    joint = np.zeros((classes, classes, classes))
    np.add.at(joint, (teacher.argmax(1), student.argmax(1), labels), 1.0)
    return decompose(joint / len(labels)).redundant


def decompose(joint_ABY: Array) -> Decomposition:
    """Returns the decomposition of a joint table P(x1, x2, y) that sums to 1."""
    joint = np.asarray(joint_ABY, dtype=np.float64)
    least = _least_informative(joint)
    whole, pooled = _information(joint.sum((0, 1)), joint), _information(joint.sum((0, 1)), least)
    first, second = (_information(joint.sum((0, 1)), joint.sum(axis, keepdims=True)) for axis in (1, 0))
    return Decomposition(
        redundant=first + second - pooled, unique_1=pooled - second, unique_2=pooled - first, synergy=whole - pooled
    )


def mutual_information(joint_ABY: Array, *, of: Literal["first", "second", "both"] = "both") -> float:
    """Returns I(Y; X1), I(Y; X2) or I(Y; X1, X2) in nats."""
    joint = np.asarray(joint_ABY, dtype=np.float64)
    table = {"first": joint.sum(1, keepdims=True), "second": joint.sum(0, keepdims=True), "both": joint}[of]
    return _information(joint.sum((0, 1)), table)


def _information(label_Y: Array, table_ABY: Array) -> float:
    independent = table_ABY.sum(-1, keepdims=True) * label_Y
    inside = table_ABY > 0
    return float((table_ABY[inside] * np.log(table_ABY[inside] / independent[inside])).sum())


def _least_informative(joint: Array) -> Array:
    """Returns Q*: Newton's method along the directions that keep both marginals, with a vanishing barrier at zero."""
    rows_AY, columns_BY, label_Y = joint.sum(1), joint.sum(0), joint.sum((0, 1))
    product = rows_AY[:, None, :] * columns_BY[None, :, :] / np.where(label_Y > 0, label_Y, 1.0)
    inside = product > 0
    directions = _free_directions(inside)
    found = product[inside]
    if not directions.shape[1]:
        return np.asarray(product)
    cell = np.nonzero(inside)
    pool = cell[0] * joint.shape[1] + cell[1]
    barrier = 1e-2
    while barrier > _BARRIER / len(found):
        found = _centred(found, directions, pool, barrier)
        barrier *= 0.2
    product[inside] = found
    return np.asarray(product)


def _free_directions(inside: Array) -> Array:
    """Returns the changes [cells, D] that leave the (X1, Y) and (X2, Y) marginals alone: corners of rectangles."""
    index = np.full(inside.shape, -1)
    index[inside] = np.arange(inside.sum())
    columns = []
    for y in range(inside.shape[2]):
        rows, others = (np.nonzero(inside[:, :, y].any(axis))[0] for axis in (1, 0))
        for a in rows[1:]:
            for b in others[1:]:
                change = np.zeros(int(inside.sum()))
                change[[index[a, b, y], index[rows[0], others[0], y]]] = 1.0
                change[[index[a, others[0], y], index[rows[0], b, y]]] = -1.0
                columns.append(change)
    return np.stack(columns, axis=1) if columns else np.zeros((int(inside.sum()), 0))


def _centred(found: Array, directions: Array, pool: Array, barrier: float) -> Array:
    """Returns the least of I(Y; X1, X2) - barrier sum log q along the directions, by damped Newton steps."""
    together = pool[:, None] == pool[None, :]
    for _ in range(_NEWTON_STEPS):
        pooled = np.bincount(pool, weights=found)[pool]
        slope = np.log(found / pooled) - barrier / found
        bend = np.diag(1 / found + barrier / found**2) - together / pooled[:, None]
        small = directions.T @ bend @ directions
        wanted = -directions.T @ slope
        step = np.linalg.solve(small + 1e-14 * np.trace(small) * np.eye(len(small)), wanted)
        move = directions @ step
        if wanted @ step < 1e-14:
            break
        length, before = 1.0, _barred(found, pool, barrier)
        while (found + length * move).min() <= 0 or _barred(found + length * move, pool, barrier) > before:
            length /= 2
            if length < 1e-12:
                return found
        found = found + length * move
    return found


def _barred(found: Array, pool: Array, barrier: float) -> float:
    return float((found * np.log(found / np.bincount(pool, weights=found)[pool])).sum() - barrier * np.log(found).sum())
