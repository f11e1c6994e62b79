"""`cross_entropy`: the golden mix with KL, label smoothing by hand, low precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.methods import cross_entropy, kl

GOLDEN = Path(__file__).parents[2] / "golden" / "data" / "kd_ce.npz"


@pytest.mark.parametrize("case", ["case1", "case2"])
def test_golden_mix_of_soft_and_hard_targets(case: str) -> None:
    """alpha * T^2 mean KL + (1 - alpha) * mean CE."""
    data = np.load(GOLDEN)
    student = torch.from_numpy(data[f"{case}/z_s"]).requires_grad_()
    teacher, labels = torch.from_numpy(data[f"{case}/z_t"]), torch.from_numpy(data[f"{case}/y"])
    t, alpha = float(data[f"{case}/p_T"]), float(data[f"{case}/p_alpha"])
    known = torch.ones(student.shape[1], dtype=torch.bool)
    soft = t**2 * kl.loss(student / t, teacher / t, known, kl.Options()).mean()
    loss = alpha * soft + (1 - alpha) * cross_entropy.loss(student, labels, cross_entropy.Options()).mean()
    (gradient,) = torch.autograd.grad(loss, student)
    np.testing.assert_allclose(loss.item(), data[f"{case}/loss"], rtol=1e-8)
    np.testing.assert_allclose(gradient.numpy(), data[f"{case}/grad_z_s"], rtol=1e-6, atol=1e-12)


def test_smoothing_is_a_mixed_target() -> None:
    logits = torch.from_numpy(np.random.RandomState(0).normal(size=(4, 5)))
    labels = torch.tensor([0, 4, 2, 2])
    target = torch.full((4, 5), 0.2 / 5, dtype=torch.float64)
    target[torch.arange(4), labels] += 0.8
    expected = -(target * logits.log_softmax(-1)).sum(-1)
    assert torch.allclose(cross_entropy.loss(logits, labels, cross_entropy.Options(smoothing=0.2)), expected)


def test_low_precision_is_computed_in_float32() -> None:
    loss = cross_entropy.loss(torch.tensor([[6e4, -6e4]]).half(), torch.tensor([1]), cross_entropy.Options())
    assert loss.dtype == torch.float32 and loss.isfinite().all() and loss.item() > 1e5
