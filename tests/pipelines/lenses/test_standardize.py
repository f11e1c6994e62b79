"""Standardised logits: mean 0, deviation 1, blind to positive affine changes, finite when a row is constant."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.lenses.standardize import Options, look


@settings(max_examples=20)
@given(seed=st.integers(0, 9999), classes=st.integers(2, 9), scale=st.floats(0.1, 50), shift=st.floats(-50, 50))
def test_scale_and_level_do_not_matter(seed: int, classes: int, scale: float, shift: float) -> None:
    logits = torch.randn(3, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    known = torch.ones(1, classes, dtype=torch.bool)
    seen = look(logits, known, Options())
    torch.testing.assert_close(look(scale * logits + shift, known, Options()), seen, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(seen.std(-1), torch.ones(3, dtype=torch.float64), rtol=1e-4, atol=1e-4)


def test_only_known_classes_count() -> None:
    logits = torch.tensor([[1.0, 2.0, 4.0, 900.0]])
    seen = look(logits, torch.tensor([[True, True, True, False]]), Options())
    torch.testing.assert_close(seen[:, :3], look(logits[:, :3], torch.ones(1, 3, dtype=torch.bool), Options()))
    assert seen[0, 3] == 0


def test_the_gradient_is_the_slope() -> None:
    logits = torch.randn(2, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    known = torch.tensor([[True, True, False, True]])
    assert torch.autograd.gradcheck(lambda z: look(z, known, Options()), (logits,))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("row", [[0.0, 0.0], [7.0, 7.0], [1e4, -1e4], [3.0]])
def test_awkward_rows_stay_finite(dtype: torch.dtype, row: list[float]) -> None:
    logits = torch.tensor([row], dtype=dtype, requires_grad=True)
    seen = look(logits, torch.ones(1, len(row), dtype=torch.bool), Options())
    (gradient,) = torch.autograd.grad(seen.square().sum() + seen.sum(), logits)
    assert torch.isfinite(seen).all() and torch.isfinite(gradient).all()
