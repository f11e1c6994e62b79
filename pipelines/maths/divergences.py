"""Divergences between two distributions given as log-probabilities over the last axis. All in nats, none reduced.

Probabilities may be exactly zero as long as their logarithm is finite (see `pipelines.method.ABSENT`): 0 * finite = 0.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Returns KL(p || q) = sum_c p_c (log p_c - log q_c), [..., C] to [...]."""
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def cross_entropy(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Returns - sum_c p_c log q_c = KL(p || q) + H(p)."""
    return -(log_p.exp() * log_q).sum(-1)


def entropy(log_p: Tensor) -> Tensor:
    """Returns H(p) = - sum_c p_c log p_c."""
    return cross_entropy(log_p, log_p)


def mix(log_a: Tensor, log_b: Tensor, share: float) -> Tensor:
    """Returns log(share a + (1 - share) b), in log space: no underflow. Needs 0 < share < 1."""
    return torch.logaddexp(log_a + math.log(share), log_b + math.log1p(-share))


def jensen_shannon(log_p: Tensor, log_q: Tensor, share: float = 0.5) -> Tensor:
    """Returns the generalised form share KL(p || m) + (1 - share) KL(q || m), m = share p + (1 - share) q.

    At the ends, where that is 0, it means KL(p || q) for share 0 and KL(q || p) for share 1 (Agarwal et al. 2024): the
    family is not continuous there.
    """
    if share in (0.0, 1.0):
        return kl(log_p, log_q) if share == 0.0 else kl(log_q, log_p)
    log_m = mix(log_p, log_q, share)
    return share * kl(log_p, log_m) + (1 - share) * kl(log_q, log_m)


def total_variation(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Returns 0.5 sum_c |p_c - q_c|."""
    return 0.5 * (log_p.exp() - log_q.exp()).abs().sum(-1)
