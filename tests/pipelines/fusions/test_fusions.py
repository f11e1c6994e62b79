"""The three fusions against loops written from the formulas: partial class sets, a T per teacher, missing teachers."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.fusions import log_pool, losses, mixture
from pipelines.lens import Temperatures
from pipelines.methods import kl
from pipelines.teacher_logits import TeacherLogits
from pipelines.weighting import renormalise

METHOD = partial(kl.loss, options=kl.Options())
ROOMS: dict[str, Any] = {"losses": losses, "mixture": mixture, "log_pool": log_pool}


class World:
    """K teachers with class sets S_k, temperatures T_k, weights w_k and holes."""

    def __init__(self, seed: int, teachers: int = 3, rows: int = 4, classes: int = 5) -> None:
        draw = np.random.RandomState(seed)
        self.student = draw.normal(size=(rows, classes)) * 2
        self.logits = draw.normal(size=(teachers, rows, classes)) * 3
        self.known = draw.rand(teachers, classes) < 0.6
        self.known[np.arange(teachers), draw.randint(classes, size=teachers)] = True
        self.logits *= self.known[:, None, :]
        self.present = draw.rand(teachers, rows) < 0.7
        self.t = draw.uniform(0.5, 5.0, size=teachers)
        raw = draw.rand(teachers)
        self.raw = raw / raw.sum()
        weights = np.zeros((teachers, rows))
        for row in range(rows):
            total = sum(self.raw[k] for k in range(teachers) if self.present[k, row])
            for k in range(teachers):
                weights[k, row] = self.raw[k] / total if self.present[k, row] else 0.0
        self.weights = weights
        self.heard = self.present.any(axis=0)

    def fuse(self, name: str, student: torch.Tensor | None = None, **options: Any) -> torch.Tensor:
        teachers = TeacherLogits(
            torch.from_numpy(self.logits), torch.from_numpy(self.known), torch.from_numpy(self.present)
        )
        weights = renormalise(torch.from_numpy(self.raw).unsqueeze(1), teachers.present_KB)
        temperature = Temperatures.of(self.t.tolist(), dtype=torch.float64)
        student = torch.from_numpy(self.student) if student is None else student
        return ROOMS[name].fuse(METHOD, student, teachers, weights, temperature, ROOMS[name].Options(**options))


def softmax(values: list[float]) -> list[float]:
    top = max(values)
    powers = [np.exp(value - top) for value in values]
    return [power / sum(powers) for power in powers]


def divergence(p: list[float], q: list[float]) -> float:
    return float(sum(a * np.log(a / b) for a, b in zip(p, q, strict=True) if a > 0))


def brute_losses(w: World, row: int, ts: float | None) -> float:
    total = 0.0
    for k, t in enumerate(w.t):
        inside = [c for c in range(w.known.shape[1]) if w.known[k, c]]
        p = softmax([w.logits[k, row, c] / t for c in inside])
        q = softmax([w.student[row, c] / t for c in inside])
        total += w.weights[k, row] * t**2 * divergence(p, q)
    return total


def student_t(w: World, row: int, ts: float | None) -> float:
    return ts or sum(w.weights[k, row] * t for k, t in enumerate(w.t))


def brute_mixture(w: World, row: int, ts: float | None) -> float:
    classes = w.known.shape[1]
    target = [0.0] * classes
    for k, t in enumerate(w.t):
        inside = [c for c in range(classes) if w.known[k, c]]
        for c, p in zip(inside, softmax([w.logits[k, row, c] / t for c in inside]), strict=True):
            target[c] += w.weights[k, row] * p
    total, s = sum(target), student_t(w, row, ts)
    return s**2 * divergence([p / total for p in target], softmax([z / s for z in w.student[row]]))


def brute_log_pool(w: World, row: int, ts: float | None) -> float:
    pooled: dict[int, float] = {}
    for c in range(w.known.shape[1]):
        top, bottom = 0.0, 0.0
        for k, t in enumerate(w.t):
            if w.known[k, c]:
                mean = np.mean([w.logits[k, row, d] for d in range(w.known.shape[1]) if w.known[k, d]])
                top += w.weights[k, row] * (w.logits[k, row, c] - mean) / t
                bottom += w.weights[k, row]
        if bottom > 0:
            pooled[c] = top / bottom
    s = student_t(w, row, ts)
    return s**2 * divergence(softmax(list(pooled.values())), softmax([w.student[row, c] / s for c in pooled]))


BRUTE = {"losses": brute_losses, "mixture": brute_mixture, "log_pool": brute_log_pool}


@pytest.mark.parametrize("name", list(ROOMS))
@given(seed=st.integers(0, 10**6), fixed=st.sampled_from([None, 2.5]))
@settings(max_examples=25)
def test_equals_the_formula(name: str, seed: int, fixed: float | None) -> None:
    w = World(seed)
    options = {} if name == "losses" else {"student_temperature": fixed}
    got = w.fuse(name, **options).numpy()
    assert np.isfinite(got).all()
    for row in np.flatnonzero(w.heard):
        np.testing.assert_allclose(got[row], BRUTE[name](w, row, None if name == "losses" else fixed), rtol=1e-9)


@pytest.mark.parametrize("name", list(ROOMS))
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gradients_by_finite_differences(name: str, seed: int) -> None:
    w = World(seed, rows=3)
    student = torch.from_numpy(w.student).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: w.fuse(name, s), (student,))


@pytest.mark.parametrize("name", list(ROOMS))
def test_one_full_teacher_makes_all_fusions_equal(name: str) -> None:
    w = World(5, teachers=1)
    w.known[:], w.present[:], w.weights[:] = True, True, 1.0
    w.logits = np.random.RandomState(1).normal(size=w.logits.shape)
    np.testing.assert_allclose(w.fuse(name).numpy(), w.fuse("losses").numpy(), rtol=1e-9)


@pytest.mark.parametrize("name", list(ROOMS))
def test_a_row_without_any_teacher_is_finite_with_finite_gradient(name: str) -> None:
    w = World(3)
    w.present[:, 1] = False
    student = torch.from_numpy(w.student).requires_grad_()
    loss = w.fuse(name, student)
    (gradient,) = torch.autograd.grad(loss.sum(), student)
    assert loss.isfinite().all() and gradient.isfinite().all()


def test_fusions_differ_where_temperatures_or_classes_do() -> None:
    values = [World(11).fuse(name) for name in ROOMS]
    assert not torch.allclose(values[0], values[1]) and not torch.allclose(values[1], values[2])
