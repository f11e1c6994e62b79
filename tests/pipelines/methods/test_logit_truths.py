"""Four truths of every method on class logits: its minimum, its invariances, its gradient, and awkward input."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from foundation import registry
from tests.pipelines.methods.catalogue import LOGIT_CLAIMS, Claim

every_claim = pytest.mark.parametrize("claim", LOGIT_CLAIMS, ids=str)
shapes = st.tuples(st.integers(2, 5), st.integers(2, 6), st.integers(0, 10_000), st.sampled_from([0.3, 1.0, 3.0]))
few = settings(max_examples=12)


def _module(claim: Claim) -> ModuleType:
    return registry.load("method", claim.method)


def _call(claim: Claim, student: Tensor, teacher: Tensor, labels_B: Tensor, mask: Tensor | None = None) -> Tensor:
    module = _module(claim)
    options = module.Options(**claim.options)
    known = torch.ones(1, student.shape[-1], dtype=torch.bool) if mask is None else mask
    arguments = (student, teacher, known, labels_B, options) if claim.labels else (student, teacher, known, options)
    result: Tensor = module.loss(*arguments)
    return result


def _draw(shape: tuple[int, int, int, float]) -> tuple[Tensor, Tensor, Tensor, torch.Generator]:
    rows, classes, seed, scale = shape
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (scale * torch.randn(rows, classes, generator=generator, dtype=torch.float64) for _ in range(2))
    return student, teacher, torch.randint(0, classes, (rows,), generator=generator), generator


@every_claim
@few
@given(shape=shapes)
def test_the_minimum_is_where_it_is_claimed(claim: Claim, shape: tuple[int, int, int, float]) -> None:
    _, teacher, labels_B, generator = _draw(shape)
    student = teacher.clone().requires_grad_()
    at_equal = _call(claim, student, teacher, labels_B)
    if claim.at_equal == "neither":
        (gradient,) = torch.autograd.grad(at_equal.sum(), student)
        assert gradient.abs().max() > 0 or teacher.shape[1] == 1
        return
    (gradient,) = torch.autograd.grad(at_equal.sum(), student)
    assert gradient.abs().max() < claim.slack
    if claim.at_equal == "zero":
        assert at_equal.abs().max() < claim.slack
    elif claim.frozen is None:
        moved = teacher + torch.randn(teacher.shape, generator=generator, dtype=torch.float64)
        assert (_call(claim, moved, teacher, labels_B) >= at_equal - 1e-12).all()


@every_claim
@few
@given(shape=shapes, by=st.floats(0.2, 5.0))
def test_what_is_claimed_to_leave_it_alone_does(claim: Claim, shape: tuple[int, int, int, float], by: float) -> None:
    student, teacher, labels_B, generator = _draw(shape)
    before = _call(claim, student, teacher, labels_B)
    changed = {"shift": student + 10 * by, "scale": student * by, "affine": by * student - 3 * by}
    for name, other in changed.items():
        after = _call(claim, other, teacher, labels_B)
        if name in claim.invariant:
            torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-6)
    rows = torch.randperm(len(student), generator=generator)
    permuted = _call(claim, student[rows], teacher[rows], labels_B[rows])
    torch.testing.assert_close(permuted, before[rows], rtol=1e-8, atol=1e-10)
    classes = torch.randperm(student.shape[1], generator=generator)
    back = torch.argsort(classes)
    renamed = _call(claim, student[:, classes], teacher[:, classes], back[labels_B])
    torch.testing.assert_close(renamed, before, rtol=1e-8, atol=1e-10)
    if not claim.spans_batch:
        alone = _call(claim, student[:1], teacher[:1], labels_B[:1])
        torch.testing.assert_close(alone, before[:1], rtol=1e-8, atol=1e-10)


@every_claim
@settings(max_examples=5)
@given(shape=shapes)
def test_the_gradient_is_the_slope(claim: Claim, shape: tuple[int, int, int, float]) -> None:
    student, teacher, labels_B, _ = _draw(shape)
    with pytest.MonkeyPatch.context() as patch:
        if claim.frozen:
            _freeze(patch, claim, student, teacher, labels_B)
        function: Callable[[Tensor], Tensor] = lambda z: _call(claim, z, teacher, labels_B).sum()  # noqa: E731
        assert torch.autograd.gradcheck(function, (student.requires_grad_(),), eps=1e-6, atol=1e-5, rtol=1e-4)


def _freeze(patch: pytest.MonkeyPatch, claim: Claim, student: Tensor, teacher: Tensor, labels_B: Tensor) -> None:
    """Replaces the detached factor by its value at the starting point, as the gradient sees it."""
    assert claim.frozen
    original: Callable[..., Tensor] = getattr(_module(claim), claim.frozen)
    kept: list[Tensor] = []

    def once(*arguments: Tensor) -> Tensor:
        if not kept:
            kept.append(original(*arguments))
        return kept[0]

    patch.setattr(_module(claim), claim.frozen, once)
    _call(claim, student.detach(), teacher, labels_B)


AWKWARD = {
    "gap of 1e4": ([[1e4, 0.0, -1e4], [0.0, 1e4, 0.0]], [[-1e4, 0.0, 1e4], [0.0, 1e4, 0.0]]),
    "ties": ([[1.0, 1.0, 0.0], [2.0, 2.0, 2.0]], [[0.0, 1.0, 1.0], [1.0, 1.0, 0.0]]),
    "constant rows": ([[0.0, 0.0, 0.0], [5.0, 5.0, 5.0]], [[7.0, 7.0, 7.0], [0.0, 0.0, 0.0]]),
    "equal rows": ([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]),
    "one class": ([[3.0], [0.0]], [[1.0], [2.0]]),
    "one row": ([[1.0, 2.0, 3.0]], [[0.0, 5.0, -1.0]]),
    "two classes": ([[1.0, -40.0], [0.0, 0.0]], [[-40.0, 1.0], [0.0, 1.0]]),
}


@every_claim
@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_input_stays_finite(claim: Claim, name: str) -> None:
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        _finite(claim, name, dtype)


def _finite(claim: Claim, name: str, dtype: torch.dtype) -> None:
    student, teacher = (torch.tensor(values, dtype=dtype) for values in AWKWARD[name])
    classes = student.shape[1]
    for mask in (torch.ones(1, classes, dtype=torch.bool), torch.arange(classes).unsqueeze(0) < max(1, classes - 1)):
        for labels_B in (torch.zeros(len(student), dtype=torch.long), torch.full((len(student),), classes - 1), None):
            leaf = student.clone().requires_grad_()
            given_labels = torch.full((len(student),), -1) if labels_B is None else labels_B
            value = _call(claim, leaf, teacher, given_labels, mask)
            assert value.shape == (len(student),)
            assert torch.isfinite(value).all(), (dtype, value)
            (gradient,) = torch.autograd.grad(value.sum(), leaf)
            assert torch.isfinite(gradient).all(), (dtype, gradient)


@every_claim
@few
@given(shape=shapes)
def test_a_class_outside_the_mask_does_not_exist(claim: Claim, shape: tuple[int, int, int, float]) -> None:
    student, teacher, labels_B, _ = _draw(shape)
    wide = [
        torch.cat([z, torch.full((len(z), 2), 50.0, dtype=z.dtype)], dim=1).requires_grad_() for z in (student, teacher)
    ]
    mask = torch.arange(wide[0].shape[1]).unsqueeze(0) < student.shape[1]
    value = _call(claim, wide[0], wide[1], labels_B, mask)
    torch.testing.assert_close(value, _call(claim, student, teacher, labels_B), rtol=1e-8, atol=1e-10)
    (gradient,) = torch.autograd.grad(value.sum(), wide[0])
    assert (gradient[:, student.shape[1] :] == 0).all()


@every_claim
def test_several_teachers_at_once_are_one_after_the_other(claim: Claim) -> None:
    student, first, labels_B, generator = _draw((4, 5, 7, 1.0))
    second = torch.randn(first.shape, generator=generator, dtype=torch.float64)
    mask_KC = torch.tensor([[True] * 5, [True, True, True, False, True]])
    both = _call(claim, student, torch.stack([first, second]), labels_B, mask_KC.unsqueeze(1))
    for index, teacher in enumerate((first, second)):
        alone = _call(claim, student, teacher, labels_B, mask_KC[index : index + 1])
        torch.testing.assert_close(both[index], alone)
