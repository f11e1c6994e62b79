"""Masks over classes: which exist, which one is true; and what a batch statistic means per example."""

from __future__ import annotations

import torch
from torch import Tensor

from pipelines.method import ABSENT


def wide(values: Tensor) -> Tensor:
    """Returns half precision as float32, other types as they are: sums over classes and batches need the bits."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def together(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Returns both expanded to their common shape."""
    shape = torch.broadcast_shapes(a.shape, b.shape)  # type: ignore[no-untyped-call]
    return a.expand(shape), b.expand(shape)


def true_class(labels_B: Tensor, class_mask: Tensor) -> Tensor:
    """Returns bool [..., B, C], True at the label where it exists; a row without label (-1) has no True at all."""
    classes_C = torch.arange(class_mask.shape[-1], device=labels_B.device)
    return (labels_B.unsqueeze(-1) == classes_C) & class_mask


def pick(values: Tensor, chosen: Tensor) -> Tensor:
    """Returns the one entry of the last axis where `chosen` is True, 0 where it is nowhere True."""
    return torch.where(chosen, values, 0.0).sum(-1)


def log_mass(log_p: Tensor, chosen: Tensor) -> Tensor:
    """Returns log of the probability inside `chosen`, without cancellation; about -1e30 when nothing is chosen."""
    return torch.logsumexp(torch.where(chosen, log_p, ABSENT), dim=-1)


def share_out(batch_value: Tensor, rows: int) -> Tensor:
    """Returns a statistic of the whole batch [...] as [..., B]: every row carries it, so the mean is the statistic."""
    return batch_value.unsqueeze(-1).expand(*batch_value.shape, rows)
