"""Weightings: the golden CA-MKD weights and loss, sums of 1 with holes, unlabelled rows, unknown names."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from foundation.errors import ConfigError
from pipelines.fusions import losses
from pipelines.lens import Temperatures
from pipelines.methods import kl
from pipelines.teacher_logits import TeacherLogits
from pipelines.weighting import renormalise
from pipelines.weightings import confidence, fixed, uniform

GOLDEN = Path(__file__).parents[2] / "golden" / "data" / "camkd_logits.npz"
NAMES = ("one", "two", "three")


def full(logits: torch.Tensor) -> TeacherLogits:
    ones = torch.ones(logits.shape[0], logits.shape[2], dtype=torch.bool)
    return TeacherLogits(logits, ones, torch.ones(logits.shape[:2], dtype=torch.bool), True)


@pytest.mark.parametrize("case", ["case1", "case2", "case3"])
def test_golden_confidence(case: str) -> None:
    """The released loss divides by K once more than the weights need; ours is K times theirs."""
    data = np.load(GOLDEN)
    student = torch.from_numpy(data[f"{case}/z_s"]).requires_grad_()
    teachers, labels = full(torch.from_numpy(data[f"{case}/z_t"])), torch.from_numpy(data[f"{case}/y"])
    count, t = len(teachers.logits_KBC), float(data[f"{case}/p_T"])
    weights = confidence.weights(confidence.Options(), teachers, labels, ())
    np.testing.assert_allclose(weights.numpy(), data[f"{case}/weight"], rtol=1e-8)
    temperature = Temperatures.of([t] * count, dtype=torch.float64)
    method = partial(kl.loss, options=kl.Options())
    loss = losses.fuse(method, student, teachers, weights, temperature, losses.Options()).mean()
    (gradient,) = torch.autograd.grad(loss, student)
    np.testing.assert_allclose(loss.item() / count, data[f"{case}/loss"], rtol=1e-8)
    np.testing.assert_allclose(gradient.numpy() / count, data[f"{case}/grad_z_s"], rtol=1e-6, atol=1e-12)


def test_confidence_with_holes_partial_classes_and_unlabelled_rows() -> None:
    draw = np.random.RandomState(0)
    logits = torch.from_numpy(draw.normal(size=(3, 5, 4)))
    known = torch.tensor([[True] * 4, [True, True, False, False], [False, False, True, True]])
    present = torch.ones(3, 5, dtype=torch.bool)
    present[0, 1] = present[1:, 2] = present[:, 4] = False
    labels = torch.tensor([0, 3, 1, -1, 2])
    weights = confidence.weights(
        confidence.Options(), TeacherLogits(logits * known.unsqueeze(1), known, present), labels, NAMES
    )
    assert torch.allclose(weights.sum(0), torch.tensor([1.0, 1, 1, 1, 0], dtype=torch.float64))
    assert (weights >= 0).all() and (weights[~present] == 0).all()
    assert weights[0, 2] == 1
    assert torch.allclose(weights[:, 3], torch.full((3,), 1 / 3, dtype=torch.float64))
    # Row 0 by hand: the third teacher doesn't know class 0 and counts as a blind guess, log 4.
    loss = [-logits[0, 0].log_softmax(0)[0], -logits[1, 0, :2].log_softmax(0)[0], np.log(4.0)]
    doubt = torch.tensor([float(value) for value in loss], dtype=torch.float64).softmax(0)
    assert torch.allclose(weights[:, 0], (1 - doubt) / 2)


def test_one_teacher_has_all_the_weight() -> None:
    weights = confidence.weights(confidence.Options(), full(torch.zeros(1, 2, 3)), torch.tensor([0, 1]), ("one",))
    assert (weights == 1).all()


def test_fixed_is_normalised_and_silent_teachers_get_nothing() -> None:
    weights = fixed.weights(fixed.Options(weights={"two": 3.0, "one": 1.0}), None, None, NAMES)
    assert weights.tolist() == [[0.25], [0.75], [0.0]]
    assert uniform.weights(uniform.Options(), None, None, NAMES).sum() == pytest.approx(1)


def test_fixed_refuses_unknown_teachers_and_nothing_at_all() -> None:
    with pytest.raises(ConfigError, match="doesn't exist") as caught:
        fixed.weights(fixed.Options(weights={"thre": 1.0}), None, None, NAMES)
    assert "'three'" in str(caught.value)
    for bad in ({}, {"one": 0.0}, {"one": -1.0}):
        with pytest.raises(ValidationError):
            fixed.Options(weights=bad)


def test_renormalise_shares_the_absent_teachers_weight() -> None:
    present = torch.tensor([[True, False, False], [True, True, False]])
    got = renormalise(torch.tensor([[0.75], [0.25]]), present)
    assert torch.equal(got, torch.tensor([[0.75, 0.0, 0.0], [0.25, 1.0, 0.0]]))
