"""What a loss on few tokens needs of a huge vocabulary, without ever holding [tokens, vocabulary].

Any loss that looks at a student's probabilities on k chosen tokens, and at the rest only as one mass, is a function of
the k logits and the log-sum-exp. Both are made here chunk by chunk over the vocabulary; the gradient makes each chunk
again. Memory beyond inputs and their gradients: two chunks [N, chunk] in float32 and the k logits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor


def chosen_log_probabilities(
    hidden_NH: Tensor, weight_VH: Tensor, bias_V: Tensor | None, ids_NK: Tensor, *, temperature: float, chunk: int
) -> Tensor:
    """Returns log softmax((hidden weight' + bias) / temperature) at `ids_NK`, [N, k], at least float32."""
    apply = cast(Callable[..., tuple[Tensor, Tensor]], _Scores.apply)
    chosen_NK, total_N = apply(hidden_NH, weight_VH, bias_V, ids_NK, 1.0 / temperature, chunk)
    return chosen_NK - total_N.unsqueeze(1)


class _Scores(torch.autograd.Function):
    """(chosen logits [N, k], log-sum-exp [N]) of scaled logits."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, ids: Tensor, scale: float, chunk: int
    ) -> tuple[Tensor, Tensor]:
        exact = torch.float64 if hidden.dtype == torch.float64 else torch.float32
        chosen = torch.zeros(ids.shape, dtype=exact, device=hidden.device)
        total = torch.full((len(hidden),), -torch.inf, dtype=exact, device=hidden.device)
        for start in range(0, len(weight), chunk):
            logits = _chunk(hidden, weight, bias, start, chunk, scale, exact)
            total = torch.logaddexp(total, torch.logsumexp(logits, 1))
            inside, column = _inside(ids, start, logits.shape[1])
            chosen = torch.where(inside, logits.gather(1, column), chosen)
        ctx.save_for_backward(hidden, weight, bias, ids, total)
        ctx.scale, ctx.chunk, ctx.exact = scale, chunk, exact
        return chosen, total

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, ids, total = ctx.saved_tensors
        to_chosen, to_total = slopes
        grad_hidden = torch.zeros_like(hidden, dtype=ctx.exact)
        grad_weight = torch.empty_like(weight) if ctx.needs_input_grad[1] else None
        grad_bias = torch.empty_like(bias) if bias is not None and ctx.needs_input_grad[2] else None
        for start in range(0, len(weight), ctx.chunk):
            slope = _chunk(hidden, weight, bias, start, ctx.chunk, ctx.scale, ctx.exact)
            slope = slope.sub_(total.unsqueeze(1)).exp_().mul_(to_total.unsqueeze(1))
            inside, column = _inside(ids, start, slope.shape[1])
            slope.scatter_add_(1, column, torch.where(inside, to_chosen, 0.0))
            slope.mul_(ctx.scale)
            part = slice(start, start + slope.shape[1])
            if grad_bias is not None:
                grad_bias[part] = slope.sum(0).to(grad_bias.dtype)
            slope = slope.to(hidden.dtype)
            grad_hidden += slope @ weight[part]
            if grad_weight is not None:
                grad_weight[part] = slope.mT @ hidden
        return grad_hidden.to(hidden.dtype), grad_weight, grad_bias, None, None, None


def _chunk(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, start: int, chunk: int, scale: float, exact: torch.dtype
) -> Tensor:
    part = slice(start, start + chunk)
    logits = (hidden @ weight[part].mT).to(exact)
    if bias is not None:
        logits += bias[part]
    return logits.mul_(scale)


def _inside(ids: Tensor, start: int, width: int) -> tuple[Tensor, Tensor]:
    column = ids - start
    return (column >= 0) & (column < width), column.clamp(0, width - 1)
