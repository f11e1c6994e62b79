"""Learnt weights: gradient to the network alone, an exact hypergradient, and a bad teacher that loses its weight."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from foundation.errors import ConfigError
from pipelines.maths.unrolled import Parameters, descend
from pipelines.method import masked_log_softmax
from pipelines.methods import kl
from pipelines.student_weighting import Moment
from pipelines.teacher_logits import TeacherLogits
from pipelines.weightings.meta_weights import Options, meta_loss, network, weights

NAMES = ("good", "fair", "bad")


def _teachers(logits_KBC: Tensor) -> TeacherLogits:
    count, rows, classes = logits_KBC.shape
    known, present = torch.ones(count, classes, dtype=torch.bool), torch.ones(count, rows, dtype=torch.bool)
    return TeacherLogits(logits_KBC, known, present, complete=True)


def test_descent_is_sgd() -> None:
    torch.manual_seed(0)
    start = {"a": torch.randn(3, requires_grad=True), "unused": torch.randn(2, requires_grad=True)}
    mine = [torch.nn.Parameter(value.detach().clone()) for value in start.values()]
    optimiser = torch.optim.SGD(mine, lr=0.1, momentum=0.9, weight_decay=0.01)
    for _ in range(3):
        optimiser.zero_grad(set_to_none=False)
        mine[1].grad = torch.zeros(2)
        (mine[0].square().sum() + mine[0].sum()).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    losses = [lambda p: p["a"].square().sum() + p["a"].sum()] * 3
    ended = descend(start, losses, lr=0.1, momentum=0.9, weight_decay=0.01)
    for found, wanted in zip(ended.values(), mine, strict=True):
        torch.testing.assert_close(found, wanted.data)


def test_weights_are_shares_and_teach_the_network_only() -> None:
    torch.manual_seed(1)
    logits = torch.randn(3, 4, 5)
    student = torch.randn(4, 5, requires_grad=True)
    net = network(Options(), 3, 5)
    signals = _teachers(logits)
    found = weights(Options(), signals, None, NAMES, Moment(student, network=net))
    torch.testing.assert_close(found.sum(0), torch.ones(4))
    to_student, to_net = torch.autograd.grad(found.square().sum(), [student, next(net.parameters())], allow_unused=True)
    assert to_student is None and to_net is not None and to_net.abs().sum() > 0
    absent = torch.tensor([[True, False, True, False]] * 2 + [[True, True, True, False]])
    partial = TeacherLogits(logits, signals.class_mask_KC, absent)
    some = weights(Options(), partial, None, NAMES, Moment(student, network=net))
    assert (some[~absent] == 0).all()
    torch.testing.assert_close(some.sum(0), torch.tensor([1.0, 1, 1, 0]))
    with pytest.raises(ConfigError):
        weights(Options(), signals, None, NAMES, Moment(student))


def _problem(seed: int) -> tuple[Tensor, Tensor, TeacherLogits, Parameters]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(48, 6, generator=generator, dtype=torch.float64)
    labels = (x @ torch.randn(6, 3, generator=generator, dtype=torch.float64)).argmax(1)
    truth = 4 * torch.nn.functional.one_hot(labels, 3).double()
    noise = torch.randn(3, 48, 3, generator=generator, dtype=torch.float64)
    logits = torch.stack([truth, 0.5 * truth, -truth]) + 0.3 * noise
    head = 0.1 * torch.randn(6, 3, generator=generator, dtype=torch.float64)
    return x, labels, _teachers(logits), {"head": head.requires_grad_()}


def test_the_hypergradient_is_the_slope_and_the_bad_teacher_loses_its_weight() -> None:
    x, labels, signals, start = _problem(0)
    torch.manual_seed(3)
    net = network(Options(), 3, 3).double()
    known = torch.ones(1, 3, dtype=torch.bool)

    def matching(parameters: Parameters) -> Tensor:
        answer = x @ parameters["head"]
        shares = weights(Options(), signals, None, NAMES, Moment(answer, network=net))
        return (shares * kl.loss(answer, signals.logits_KBC, known, kl.Options())).sum(0).mean()

    def hard(parameters: Parameters) -> Tensor:
        return -masked_log_softmax(x @ parameters["head"], known).gather(1, labels.unsqueeze(1)).mean()

    def outer() -> Tensor:
        return meta_loss(start, matching, hard, lr=0.3, momentum=0.5, weight_decay=1e-3)

    # The stop-gradient on the student's logits is no part of a finite difference: make the network blind to them.
    layer = net.get_submodule("layer")
    assert isinstance(layer, torch.nn.Linear)
    with torch.no_grad():
        layer.weight[:, -3:] = 0
    parameter = net.get_parameter("all_act.weight")
    (slope,) = torch.autograd.grad(outer(), parameter)
    direction = torch.randn_like(parameter)
    with torch.no_grad():
        parameter.add_(direction, alpha=1e-6)
    up = float(outer())
    with torch.no_grad():
        parameter.sub_(direction, alpha=2e-6)
    down = float(outer())
    assert float((slope * direction).sum()) == pytest.approx((up - down) / 2e-6, rel=1e-4)

    optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
    before = weights(Options(), signals, None, NAMES, Moment(x @ start["head"], network=net)).mean(1)
    for _ in range(40):
        optimiser.zero_grad()
        for value, slope in zip(net.parameters(), torch.autograd.grad(outer(), list(net.parameters())), strict=True):
            value.grad = slope
        optimiser.step()
    after = weights(Options(), signals, None, NAMES, Moment(x @ start["head"], network=net)).mean(1)
    assert after[2] < 0.1 < before[2]
