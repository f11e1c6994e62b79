"""Which inputs a model's answer rests on: gradients along the way from a black input, and their overlay on an image."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

Model = Callable[[Tensor], Tensor]


def integrated_gradients(model: Model, inputs: Tensor, labels_B: Tensor, *, steps: int = 50) -> Tensor:
    """Returns x * integral_0^1 d z_y(a x) / dx da, by Gauss-Legendre with `steps` nodes (Sundararajan et al., 2017).

    Baseline zero; the logit of the given class. Its sum over a row is z_y(x) - z_y(0) up to the quadrature.
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    total = torch.zeros_like(inputs)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        total += float(weight) * _slope(model, float(node) * inputs, labels_B)
    return inputs * total


def heat(attributions_BCHW: Tensor) -> Tensor:
    """Returns the map [B, H, W], the sum over channels of absolute attributions."""
    return attributions_BCHW.abs().sum(1)


def average_slope(model: Model, inputs: Tensor, labels_B: Tensor, *, steps: int = 50) -> Tensor:
    """Returns the mean slope of the class PROBABILITY from zero to the input, by trapezoids; not multiplied by x."""

    def probability(x: Tensor) -> Tensor:
        return torch.softmax(model(x), dim=1)

    points = [_slope(probability, inputs * (k / steps), labels_B) for k in range(steps + 1)]
    return sum(((a + b) / 2 for a, b in pairwise(points)), torch.zeros_like(inputs)) / steps


def overlay(image_CHW: Tensor, heat_HW: Tensor, *, power: float) -> Tensor:
    """Returns half the image plus half the map, the latter raised to `power` and stretched to [0, 1].

    A flat map has nothing to show: zeros.
    """
    raised = heat_HW.pow(power)
    spread = raised.max() - raised.min()
    stretched = (raised - raised.min()) / torch.where(spread > 0, spread, torch.ones_like(spread))
    return 0.5 * image_CHW + 0.5 * stretched.to(image_CHW.dtype)


def _slope(model: Model, inputs: Tensor, labels_B: Tensor) -> Tensor:
    leaf = inputs.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(model(leaf).gather(1, labels_B.unsqueeze(1)).sum(), leaf)
    return slope
