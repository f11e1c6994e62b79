"""Our optimisers take the same steps as torch's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from foundation.errors import ConfigError
from pipelines.optimizers import FlatParameters, Optimizer, learning_rate
from pipelines.train_config import OptimizerConfig, TrainConfig

CASES = [
    ({"kind": "adam", "weight_decay": 0.1}, lambda p: torch.optim.Adam(p, 0.03, weight_decay=0.1)),
    ({"kind": "adam"}, lambda p: torch.optim.Adam(p, 0.03)),
    ({"kind": "adamw", "weight_decay": 0.1}, lambda p: torch.optim.AdamW(p, 0.03, weight_decay=0.1)),
    ({"kind": "sgd", "momentum": 0.9}, lambda p: torch.optim.SGD(p, 0.03, momentum=0.9)),
    ({"kind": "sgd", "weight_decay": 0.1}, lambda p: torch.optim.SGD(p, 0.03, weight_decay=0.1)),
]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


@pytest.mark.parametrize(("options", "reference"), CASES)
def test_same_steps_as_torch(options, reference) -> None:  # type: ignore[no-untyped-def]
    mine, theirs = network(), network()
    flat = FlatParameters(mine)
    optimizer = Optimizer(OptimizerConfig(lr=0.03, **options), flat.values_P)
    other = reference(theirs.parameters())
    for count in range(1, 8):
        inputs = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(count))
        optimizer.step(flat.gradient([mine(inputs).square().sum()], [torch.tensor(1.0)]), 0.03, count)
        other.zero_grad()
        theirs(inputs).square().sum().backward()
        other.step()
    for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-12)


def test_gradient_is_scaled_and_zero_where_nothing_is_used() -> None:
    model = network()
    unused = nn.Linear(2, 2).double()
    both = nn.ModuleList([model, unused])
    flat = FlatParameters(both)
    out = model(torch.ones(1, 3, dtype=torch.float64)).sum()
    once = flat.gradient([out], [torch.tensor(1.0)])
    out = model(torch.ones(1, 3, dtype=torch.float64)).sum()
    assert torch.allclose(flat.gradient([out], [torch.tensor(2.5)]), 2.5 * once)
    assert (once[-6:] == 0).all() and (flat.gradient([], []) == 0).all()


def test_odd_students_are_refused() -> None:
    with pytest.raises(ConfigError, match="one dtype"):
        FlatParameters(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double()))
    with pytest.raises(ConfigError, match="trained parameters"):
        FlatParameters(nn.ReLU())


def test_schedules() -> None:
    config = {"epochs": 1, "batch": {"x": 1}, "optimizer": {"lr": 0.5}}
    constant = learning_rate(TrainConfig.model_validate(config), 10)
    cosine = learning_rate(TrainConfig.model_validate(config | {"schedule": "cosine"}), 10)
    assert constant(0) == constant(9) == 0.5
    assert cosine(0) == 0.5 and cosine(5) == pytest.approx(0.25) and cosine(10) == pytest.approx(0)
    assert cosine(3) == pytest.approx(0.25 * (1 + math.cos(0.3 * math.pi)))
