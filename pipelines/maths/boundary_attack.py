"""Inputs moved just across a teacher's decision boundary."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pipelines.maths.correlation import unit


def cross_boundary(
    model: Callable[[Tensor], Tensor],
    inputs: Tensor,
    labels_B: Tensor,
    towards_B: Tensor,
    *,
    steps: int,
    size: float,
    eps: float = 1e-4,
    low: float = -2.5,
    high: float = 2.5,
) -> Tensor:
    """Returns inputs moved from class `labels_B` towards `towards_B` until the model's choice changes.

    x <- clamp(x + size (p_y - p_a + eps) g / |g|), g = slope of p_a - p_y, at most `steps` times (Heo et al.: Knowledge
    Distillation with Adversarial Samples Supporting Decision Boundary, AAAI 2019). A row that is across stays.
    """
    moved = inputs.detach().clone()
    for _ in range(steps):
        leaf = moved.clone().requires_grad_()
        probabilities = torch.softmax(model(leaf), dim=1)
        there_B = probabilities.gather(1, towards_B.unsqueeze(1)).squeeze(1)
        here_B = probabilities.gather(1, labels_B.unsqueeze(1)).squeeze(1)
        waiting_B = probabilities.argmax(1) == labels_B
        if not bool(waiting_B.any()):
            break
        (slope,) = torch.autograd.grad((there_B - here_B).sum(), leaf)
        length_B1 = size * (here_B - there_B + eps).detach().unsqueeze(1)
        step = (length_B1 * unit(slope.flatten(1))).view_as(moved)
        waiting = waiting_B.view(-1, *[1] * (moved.dim() - 1))
        moved = torch.where(waiting, (moved + step).clamp(low, high), moved).detach()
    return moved
