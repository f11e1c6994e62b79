"""Inputs moved across a boundary, and what an answer rests on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pipelines.maths.attribution import average_slope, heat, integrated_gradients, overlay
from pipelines.maths.boundary_attack import cross_boundary


def _net(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 3)).double().requires_grad_(False)


def _images(seed: int) -> Tensor:
    return torch.randn(5, 1, 3, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).clamp(-2.5, 2.5)


@pytest.mark.parametrize("seed", range(4))
def test_moved_rows_end_just_across_and_settled_rows_stay(seed: int) -> None:
    net, inputs = _net(seed), _images(seed)
    chosen = net(inputs).argmax(1)
    labels = torch.where(torch.arange(5) == 0, (chosen + 1) % 3, chosen)  # row 0 is across already
    towards = (labels + 2) % 3
    moved = cross_boundary(net, inputs, labels, towards, steps=200, size=0.3)
    assert torch.equal(moved[0], inputs[0])
    after = net(moved)
    assert moved.abs().max() <= 2.5
    top = torch.softmax(after, 1).topk(2, 1).values
    gaps = top[:, 0] - top[:, 1]
    across = after.argmax(1) != labels
    assert across[1:].sum() >= 2, "most rows cross"
    assert (across | (gaps < 0.02)).all(), "the others have come as near as the eps lets them"
    assert gaps[1:].max() < 0.2, "nobody is deep inside the other class"


def test_a_flat_model_moves_nothing() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(12, 3, bias=False)).double()
    nn.init.zeros_(flat[1].weight)  # type: ignore[arg-type]
    inputs = _images(0)
    moved = cross_boundary(
        flat, inputs, torch.zeros(5, dtype=torch.long), torch.ones(5, dtype=torch.long), steps=3, size=1
    )
    assert torch.equal(moved, inputs)


def test_attributions_are_complete() -> None:
    net, inputs = _net(1), _images(2)
    labels = torch.tensor([0, 1, 2, 0, 1])
    found = integrated_gradients(net, inputs, labels, steps=64)
    gained = (net(inputs) - net(torch.zeros_like(inputs))).gather(1, labels.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(found.flatten(1).sum(1), gained, rtol=1e-8, atol=1e-10)
    assert heat(found).shape == (5, 3, 4) and (heat(found) >= 0).all()
    assert average_slope(net, inputs, labels, steps=8).shape == inputs.shape


def test_an_overlay_is_half_map_half_image_and_a_flat_map_shows_nothing() -> None:
    image = torch.full((3, 2, 2), 0.4)
    shown = overlay(image, torch.tensor([[0.0, 1.0], [2.0, 4.0]]), power=2.0)
    torch.testing.assert_close(shown[0], 0.2 + 0.5 * torch.tensor([[0.0, 1.0], [4.0, 16.0]]) / 16)
    torch.testing.assert_close(overlay(image, torch.ones(2, 2), power=1.5), 0.5 * image)
