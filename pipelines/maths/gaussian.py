"""Costs under Gaussians with one variance per coordinate."""

from __future__ import annotations

from torch import Tensor


def gaussian_cost(gap: Tensor, variance: Tensor) -> Tensor:
    """Returns gap^2 / v + log v elementwise: twice the negative log-likelihood without log(2 pi)."""
    return gap.square() / variance + variance.log()


def gaussian_kl(mean_p: Tensor, log_variance_p: Tensor, mean_q: Tensor, log_variance_q: Tensor) -> Tensor:
    """Returns KL(N_p || N_q) of diagonal Gaussians, summed over the last axis."""
    ratio = log_variance_p - log_variance_q
    far = (mean_p - mean_q).square() * (-log_variance_q).exp()
    return 0.5 * (ratio.exp() + far - 1 - ratio).sum(-1)
