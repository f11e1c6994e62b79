"""Four truths about `kl` (zero at equality, blind to shifts, right gradients, finite on awkward input) and goldens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.methods import kl

GOLDEN = Path(__file__).parents[2] / "golden" / "data" / "kd.npz"
DIRECTIONS = ("forward", "reverse", "symmetric", "skewed", "skewed_reverse")
directions = st.sampled_from(DIRECTIONS)


def draw(seed: int, shape: tuple[int, ...], scale: float = 3.0) -> torch.Tensor:
    return torch.from_numpy(np.random.RandomState(seed).normal(size=shape) * scale)


def mask(seed: int, teachers: int, classes: int) -> torch.Tensor:
    known = torch.from_numpy(np.random.RandomState(seed).rand(teachers, 1, classes) < 0.6)
    known[..., seed % classes] = True
    return known


@given(st.integers(0, 10**6), directions, st.integers(1, 70))
@settings(max_examples=30)
def test_zero_at_equality_and_never_negative(seed: int, direction: str, classes: int) -> None:
    options = kl.Options(direction=direction)
    student, known = draw(seed, (3, 4, classes)), mask(seed, 3, classes)
    assert kl.loss(student, student, known, options).abs().max() < 1e-12
    other = draw(seed + 1, (3, 4, classes))
    assert kl.loss(student, other, known, options).min() > -1e-12
    if classes > 1:
        everything = torch.ones(1, classes, dtype=torch.bool)
        assert kl.loss(student, other, everything, options).max() > 1e-6


@given(st.integers(0, 10**6), directions)
@settings(max_examples=20)
def test_shifts_don_t_matter(seed: int, direction: str) -> None:
    options, known = kl.Options(direction=direction), mask(seed, 2, 5)
    student, teacher = draw(seed, (2, 4, 5)), draw(seed + 1, (2, 4, 5))
    moved = kl.loss(student + draw(seed + 2, (2, 4, 1)), teacher + draw(seed + 3, (2, 4, 1)), known, options)
    assert torch.allclose(moved, kl.loss(student, teacher, known, options), atol=1e-10)


@given(st.integers(0, 10**6), directions, st.sampled_from([5, 66]))
@settings(max_examples=12)
def test_gradients_by_finite_differences(seed: int, direction: str, classes: int) -> None:
    options, known = kl.Options(direction=direction), mask(seed, 2, classes)
    teacher = draw(seed + 1, (2, 2, classes))
    student = draw(seed, (1, 2, classes)).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: kl.loss(s, teacher, known, options), (student,))


@given(st.integers(0, 10**6), directions, st.sampled_from([torch.float16, torch.bfloat16, torch.float32]))
@settings(max_examples=25)
def test_finite_on_awkward_input(seed: int, direction: str, dtype: torch.dtype) -> None:
    options = kl.Options(direction=direction)
    student = draw(seed, (2, 3, 4))
    student[0, 0] = torch.tensor([1e4, -1e4, 0.0, 1e4])
    teacher = draw(seed + 1, (2, 3, 4))
    teacher[0, 0] = torch.tensor([-1e4, 1e4, 0.0, 0.0])
    student = student.to(dtype).requires_grad_()
    for known in (mask(seed, 2, 4), torch.zeros(2, 1, 4, dtype=torch.bool), torch.tensor([True, False, False, False])):
        loss = kl.loss(student, teacher.to(dtype), known, options)
        (gradient,) = torch.autograd.grad(loss.sum(), student)
        assert loss.shape == (2, 3) and loss.isfinite().all() and gradient.isfinite().all()
        assert loss.dtype == torch.float32
    one = torch.randn(2, 3, 1, generator=torch.Generator().manual_seed(seed))
    assert kl.loss(one, one + 5, torch.tensor([True]), options).abs().max() < 1e-6


def test_a_class_outside_the_mask_does_not_exist() -> None:
    student, teacher = draw(0, (4, 5)), draw(1, (4, 5))
    known = torch.tensor([True, False, True, True, False])
    for direction in DIRECTIONS:
        options = kl.Options(direction=direction)
        inside = kl.loss(student[:, known], teacher[:, known], torch.ones(3, dtype=torch.bool), options)
        assert torch.allclose(kl.loss(student, teacher, known, options), inside, atol=1e-12)


def test_directions_are_what_they_say() -> None:
    student, teacher, all_known = draw(0, (6, 4), 1.0), draw(1, (6, 4), 1.0), torch.ones(4, dtype=torch.bool)
    p, q = teacher.softmax(-1), student.softmax(-1)

    def brute(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a * (a / b).log()).sum(-1)

    expected = {
        "forward": brute(p, q),
        "reverse": brute(q, p),
        "symmetric": (brute(p, q) + brute(q, p)) / 2,
        "skewed": brute(p, 0.3 * p + 0.7 * q),
        "skewed_reverse": brute(q, 0.3 * q + 0.7 * p),
    }
    for direction, value in expected.items():
        got = kl.loss(student, teacher, all_known, kl.Options(direction=direction, skew=0.3))
        assert torch.allclose(got, value, atol=1e-10), direction


@pytest.mark.parametrize("case", ["case1", "case2", "case3", "case4"])
def test_golden_soft_targets(case: str) -> None:
    """mdistiller's KD: T^2 mean_B KL(teacher || student) at T."""
    data = np.load(GOLDEN)
    student = torch.from_numpy(data[f"{case}/z_s"]).requires_grad_()
    teacher, t = torch.from_numpy(data[f"{case}/z_t"]), float(data[f"{case}/p_T"])
    known = torch.ones(student.shape[1], dtype=torch.bool)
    loss = t**2 * kl.loss(student / t, teacher / t, known, kl.Options()).mean()
    (gradient,) = torch.autograd.grad(loss, student)
    np.testing.assert_allclose(loss.item(), data[f"{case}/loss"], rtol=1e-8)
    np.testing.assert_allclose(gradient.numpy(), data[f"{case}/grad_z_s"], rtol=1e-6, atol=1e-12)
