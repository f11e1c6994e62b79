"""Correlation and cosine along one axis, over the entries of a mask, finite for constant and zero vectors."""

from __future__ import annotations

import torch
from torch import Tensor


def centre(values: Tensor, mask: Tensor, dim: int = -1) -> Tensor:
    """Returns values minus their mean over the mask; 0 outside it."""
    kept = torch.where(mask, values, 0.0)
    count = mask.expand_as(kept).sum(dim, keepdim=True).clamp_min(1)
    return torch.where(mask, kept - kept.sum(dim, keepdim=True) / count, 0.0)


def length(values: Tensor, dim: int = -1, *, keepdim: bool = False) -> Tensor:
    """Returns the Euclidean norm, scaled against overflow; its gradient at the zero vector is 0."""
    scale = values.detach().abs().amax(dim, keepdim=True)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    norm: Tensor = torch.linalg.vector_norm(values / scale, dim=dim, keepdim=True) * scale
    return norm if keepdim else norm.squeeze(dim)


def cosine(a: Tensor, b: Tensor, *, dim: int = -1, eps: float = 1e-8) -> Tensor:
    """Returns a.b / (max(|a|, eps) max(|b|, eps)); the zero vector has no direction: 0, with slope 0."""
    size_a, size_b = length(a, dim), length(b, dim)
    return _defined((a * b).sum(dim) / (size_a.clamp_min(eps) * size_b.clamp_min(eps)), size_a, size_b)


def unit(values: Tensor, *, dim: int = -1, eps: float = 1e-12) -> Tensor:
    """Returns values / max(|values|, eps); the zero vector stays zero, with slope 0."""
    size = length(values, dim, keepdim=True)
    return torch.where(size > 0, values / size.clamp_min(eps), 0.0)


def pearson(a: Tensor, b: Tensor, mask: Tensor, *, dim: int = -1, eps: float = 1e-8) -> Tensor:
    """Returns a.b / (|a| |b| + eps) after centring over the mask; for a constant vector 0 with slope 0."""
    a, b = centre(a, mask, dim), centre(b, mask, dim)
    size_a, size_b = length(a, dim), length(b, dim)
    return _defined((a * b).sum(dim) / (size_a * size_b + eps), size_a, size_b)


def standardise(values: Tensor, mask: Tensor, *, freedom: int, eps: float, dim: int = -1) -> Tensor:
    """Returns (values - mean) / (deviation + eps) over the mask, 0 outside; zeros with slope 0 for a constant vector.

    freedom: what is taken from the count in the deviation, 1 for a sample, 0 for a population.
    """
    centred = centre(values, mask, dim)
    size = length(centred, dim, keepdim=True)
    count = (mask.expand_as(centred).sum(dim, keepdim=True) - freedom).clamp_min(1).to(centred.dtype)
    return torch.where(size > 0, centred / (size / count.sqrt() + eps), 0.0)


def _defined(value: Tensor, size_a: Tensor, size_b: Tensor) -> Tensor:
    """A slope of 1 / eps at a degenerate vector would overflow half precision and mean nothing."""
    return torch.where((size_a > 0) & (size_b > 0), value, 0.0)
