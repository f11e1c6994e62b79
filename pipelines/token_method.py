"""Contract: a method on token sequences over a vocabulary, where class masks and fusions don't fit.

Such a file in `pipelines/methods/` has `class Options(PluginOptions)`, `NEEDS`, and

    def loss(batch: TokenBatch, options) -> [B, N] per token (0 where a token doesn't count), or [B] per sequence

What fields it reads is said by its `loss`. Per-token losses are summed and divided by the number of counted tokens by
the caller, once. T^2 is in the method, which knows its own temperature: no lens and no fusion act on tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from foundation.errors import ConfigError


@dataclass(frozen=True)
class TokenBatch:
    """What a token method sees of B sequences.

    Attributes:
        student_logits: [B, N, V]; or `hidden` [B, N, H] with the head `weight` [V, H] and `bias` [V], which saves them.
        valid_BN: bool, tokens of the student that count.
        teacher_logits: [B, M, W] over the teacher's own vocabulary and tokens, with `teacher_valid_BM`.
        top_ids, top_logprobs: [B, N, k] the teacher's k likeliest tokens and their log-probabilities at T = 1.
        matched: int64 [m, 2], (student id, teacher id) of vocabulary entries that are the same text.
    """

    valid_BN: Tensor
    student_logits: Tensor | None = None
    hidden: Tensor | None = None
    weight: Tensor | None = None
    bias: Tensor | None = None
    teacher_logits: Tensor | None = None
    teacher_valid_BM: Tensor | None = None
    top_ids: Tensor | None = None
    top_logprobs: Tensor | None = None
    matched: Tensor | None = None


def need(name: str, **fields: Tensor | None) -> tuple[Tensor, ...]:
    """Returns the fields. Raises `ConfigError` that names the first one missing."""
    found = []
    for field, value in fields.items():
        if value is None:
            raise ConfigError(f"The method `{name}` was not given `{field}`.", where="method")
        found.append(value)
    return tuple(found)
