"""Hidden states and attention of token models, layer against layer, over the tokens that count."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from foundation.errors import ConfigError
from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, Shapes, bridged, pairs
from pipelines.maths.classes import wide
from pipelines.maths.correlation import cosine, unit
from pipelines.maths.divergences import cross_entropy
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = True


class Options(PluginOptions):
    """compare, with h [B, N, d] hidden states, A [B, heads, N, N] attention scores, m the tokens that count:
        mse               mean over counted tokens and d of (h_s - h_t)^2
        cosine            mean over counted tokens of 1 - cos(h_s, h_t)
        first_token       |norm h_s[0] - norm h_t[0]|^2, sum over d (PKD, Sun et al. 2019)
        fsp               mean over d x d of (h_s' g_s / len - teacher's)^2 for layers h, g of one network
        gram              mean over counted pairs of tokens of (h_s g_s' / d - teacher's)^2
        attention_mse     mean over counted pairs and heads of (A_s - A_t)^2
        attention_ce      mean over counted tokens and heads of - sum_j softmax(A_t)_j log softmax(A_s)_j
    (the matches of TextBrewer, Yang et al. 2020). Layers are compared pair by pair and added up; fsp and gram take each
    layer with the next one (with itself when there is only one).

    Means run over the counted tokens of the whole batch: a row carries its tokens' share, so the mean over rows is that
    mean and long rows count more. In attention_ce the softmax runs over all columns and the others are dropped
    afterwards, as in the original. Where widths differ, a trainable linear map goes before (hidden states only).
    Zero at student = teacher, but for attention_ce, whose minimum there is the teacher's entropy.
    """

    kind: Literal["hidden_states"] = "hidden_states"
    compare: Literal["mse", "cosine", "first_token", "fsp", "gram", "attention_mse", "attention_ce"] = "mse"


def adapter(options: Options, shapes: Shapes) -> nn.Module | None:
    """Returns linear maps to the teacher's width, or None where widths are equal."""
    if options.compare.startswith("attention"):
        return None
    widths = [(s[-1], t[-1]) for s, t in zip(shapes.student, shapes.teacher, strict=True)]
    return None if all(s == t for s, t in widths) else nn.ModuleList([nn.Linear(s, t) for s, t in widths])


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B]. Raises `ConfigError` when student and teacher have different tokens or heads."""
    layers = [(wide(s), wide(t.detach())) for s, t in pairs(bridged(batch, adapter))]
    if any(s.shape != t.shape for s, t in layers):
        raise ConfigError("Student and teacher must have the same tokens and heads.", where="method")
    tokens = layers[0][0].shape[-2]
    valid = batch.valid_BN
    mask_BN = torch.ones(len(layers[0][0]), tokens, dtype=torch.bool) if valid is None else valid.bool()
    if options.compare in ("fsp", "gram"):
        after = layers[1:] or layers
        steps = zip(layers, after, strict=False)
        return torch.stack([_step(one, two, mask_BN, options.compare) for one, two in steps]).sum(0)
    return torch.stack([_layer(s, t, mask_BN, options.compare) for s, t in layers]).sum(0)


def _layer(s: Tensor, t: Tensor, mask_BN: Tensor, compare: str) -> Tensor:
    if compare == "first_token":
        return (unit(s[:, 0]) - unit(t[:, 0])).square().sum(-1)
    if compare == "mse":
        return _share((s - t).square().mean(-1), mask_BN)
    if compare == "cosine":
        return _share(1 - cosine(s, t), mask_BN)
    both_BNN = mask_BN.unsqueeze(1) & mask_BN.unsqueeze(2)
    if compare == "attention_mse":
        return _share((s - t).square().mean(1), both_BNN)
    log_p, log_q = torch.log_softmax(t, -1), torch.log_softmax(s, -1)
    columns = mask_BN[:, None, None, :]
    dropped = cross_entropy(log_p.where(columns, -1e30), log_q.where(columns, 0.0)).mean(1)
    return _share(dropped, mask_BN)


def _step(one: tuple[Tensor, Tensor], two: tuple[Tensor, Tensor], mask_BN: Tensor, compare: str) -> Tensor:
    kept = mask_BN.unsqueeze(-1)
    if compare == "gram":
        s, t = (h @ g.mT / h.shape[-1] for h, g in zip(one, two, strict=True))
        return _share((s - t).square(), mask_BN.unsqueeze(1) & mask_BN.unsqueeze(2))
    length = kept.sum(1, keepdim=True).clamp_min(1)
    s, t = (h.where(kept, 0.0).mT @ g.where(kept, 0.0) / length for h, g in zip(one, two, strict=True))
    return (s - t).square().mean((1, 2))


def _share(values: Tensor, counted: Tensor) -> Tensor:
    """Returns [B]: a row's sum over what counts, times B / the batch's count; so the mean over rows is the batch's."""
    total = values.where(counted, 0.0).flatten(1).sum(1)
    return total * (len(values) / counted.sum().clamp_min(1))
