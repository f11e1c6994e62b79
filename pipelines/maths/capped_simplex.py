"""The shortest vector in a convex hull with limited coefficients: a small quadratic programme, solved pair by pair."""

from __future__ import annotations

import torch
from torch import Tensor

_MOST_STEPS = 20_000


def shortest_combination(gram_KK: Tensor, limit: float) -> Tensor:
    """Returns a [K] that minimises 0.5 a' G a with sum a = 1 and 0 <= a_k <= limit; G is a Gram matrix.

    Sequential minimal optimisation: the pair of coefficients that violates optimality most exchanges mass, exactly,
    until no exchange gains. `limit` is raised to 1 / K where it is below (nothing else would be feasible).
    """
    count = len(gram_KK)
    limit = max(limit, 1.0 / count)
    gram = gram_KK.double().cpu()
    a_K = torch.full((count,), 1.0 / count, dtype=torch.float64)
    enough = 1e-12 * max(float(gram.diagonal().max()), 1e-300)
    for _ in range(_MOST_STEPS):
        slope_K = gram @ a_K
        can_grow, can_shrink = a_K < limit - 1e-15, a_K > 1e-15
        grow = int(torch.where(can_grow, slope_K, torch.inf).argmin())
        shrink = int(torch.where(can_shrink, slope_K, -torch.inf).argmax())
        gain = float(slope_K[shrink] - slope_K[grow])
        if not gain > enough:
            break
        bend = float(gram[grow, grow] + gram[shrink, shrink] - 2 * gram[grow, shrink])
        room = min(limit - float(a_K[grow]), float(a_K[shrink]))
        move = room if bend <= 0 else min(room, gain / bend)
        a_K[grow] += move
        a_K[shrink] -= move
    return (a_K.clamp(0, limit) / a_K.clamp(0, limit).sum()).to(gram_KK.device)
