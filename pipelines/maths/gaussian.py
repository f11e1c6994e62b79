"""Costs under Gaussians with one variance per coordinate."""

from __future__ import annotations

from torch import Tensor


def gaussian_cost(gap: Tensor, variance: Tensor) -> Tensor:
    """Returns gap^2 / v + log v elementwise: twice the negative log-likelihood without log(2 pi)."""
    return gap.square() / variance + variance.log()
