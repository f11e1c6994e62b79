"""Identities among divergences, and probabilities of exactly zero."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pipelines.maths import divergences as d
from pipelines.method import masked_log_softmax


def _pair(seed: int, classes: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    log_p, log_q = (
        torch.log_softmax(2 * torch.randn(3, classes, generator=generator, dtype=torch.float64), -1) for _ in range(2)
    )
    return log_p, log_q


@settings(max_examples=20)
@given(seed=st.integers(0, 9999), share=st.floats(0.05, 0.95))
def test_identities(seed: int, share: float) -> None:
    log_p, log_q = _pair(seed)
    torch.testing.assert_close(d.kl(log_p, log_q), d.cross_entropy(log_p, log_q) - d.entropy(log_p))
    torch.testing.assert_close(d.mix(log_p, log_q, share).exp(), share * log_p.exp() + (1 - share) * log_q.exp())
    torch.testing.assert_close(d.jensen_shannon(log_p, log_q, share), d.jensen_shannon(log_q, log_p, 1 - share))
    assert (d.jensen_shannon(log_p, log_q, share) >= -1e-12).all()
    assert (d.jensen_shannon(log_p, log_q) <= math.log(2) + 1e-12).all()
    assert (2 * d.total_variation(log_p, log_q).square() <= d.kl(log_p, log_q) + 1e-12).all()  # Pinsker
    assert d.jensen_shannon(log_p, log_p, share).abs().max() < 1e-12
    torch.testing.assert_close(d.jensen_shannon(log_p, log_q, 0.0), d.kl(log_p, log_q))
    torch.testing.assert_close(d.jensen_shannon(log_p, log_q, 1.0), d.kl(log_q, log_p))


@pytest.mark.parametrize("function", [d.kl, d.cross_entropy, d.jensen_shannon, d.total_variation])
def test_classes_that_do_not_exist_add_nothing(function: object) -> None:
    assert callable(function)
    logits = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([True, True, False, True])
    value = function(masked_log_softmax(logits[0], mask), masked_log_softmax(logits[1], mask))
    kept = logits[:, :, mask]
    everything = torch.ones(3, dtype=torch.bool)
    wanted = function(masked_log_softmax(kept[0], everything), masked_log_softmax(kept[1], everything))
    torch.testing.assert_close(value, wanted)
    (slope,) = torch.autograd.grad(value.sum(), logits)
    assert torch.isfinite(slope).all() and (slope[:, :, 2] == 0).all()
