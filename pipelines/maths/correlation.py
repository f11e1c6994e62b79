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
    """Returns a.b / (max(|a|, eps) max(|b|, eps)); 0 when one of them is the zero vector."""
    return (unit(a, dim=dim, eps=eps) * unit(b, dim=dim, eps=eps)).sum(dim)


def unit(values: Tensor, *, dim: int = -1, eps: float = 1e-12) -> Tensor:
    """Returns values / max(|values|, eps)."""
    return values / length(values, dim, keepdim=True).clamp_min(eps)


def pearson(a: Tensor, b: Tensor, mask: Tensor, *, dim: int = -1, eps: float = 1e-8) -> Tensor:
    """Returns the correlation over the mask, a.b / (|a| |b| + eps) after centring; 0 for a constant vector."""
    a, b = centre(a, mask, dim), centre(b, mask, dim)
    return (a * b).sum(dim) / (length(a, dim) * length(b, dim) + eps)
