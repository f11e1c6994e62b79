"""Truths of the token methods: minimum, renaming, gradients, chunked = dense, and awkward targets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from foundation.errors import ConfigError
from pipelines.methods import sparse_kl, universal_logit
from pipelines.token_method import TokenBatch

FORMS = [(d, m) for d in ("kl", "js", "tv", "hinge") for m in ("renormalise", "one_token")]
every_form = pytest.mark.parametrize(("divergence", "missing"), FORMS)
seeds = st.integers(0, 9999)


def _options(**values: Any) -> sparse_kl.Options:
    return sparse_kl.Options.model_validate(values)


def _batch(seed: int, words: int = 11, kept: int = 4, dtype: torch.dtype = torch.float64) -> TokenBatch:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (torch.randn(2, 3, words, generator=generator, dtype=torch.float64) for _ in range(2))
    top = torch.log_softmax(2 * teacher, -1).topk(kept, -1)
    valid = torch.tensor([[True, True, False], [True, False, True]])
    return TokenBatch(valid, student.to(dtype), top_ids=top.indices, top_logprobs=top.values.to(dtype))


@every_form
@settings(max_examples=10)
@given(seed=seeds, temperature=st.sampled_from([1.0, 2.0]))
def test_knowing_every_word_and_being_equal_costs_nothing(
    divergence: str, missing: str, seed: int, temperature: float
) -> None:
    batch = _batch(seed, kept=11)
    assert batch.top_ids is not None and batch.top_logprobs is not None
    equal = torch.zeros_like(batch.top_logprobs).scatter(-1, batch.top_ids, batch.top_logprobs)
    options = _options(
        divergence=divergence, missing=missing, temperature=temperature if divergence != "hinge" else 1.0
    )
    value = sparse_kl.loss(replace(batch, student_logits=equal + 3.0), options)
    assert value.abs().max() < 1e-5
    assert (sparse_kl.loss(batch, options)[batch.valid_BN] >= -1e-5).all()
    assert (sparse_kl.loss(batch, options)[~batch.valid_BN] == 0).all()


@every_form
@settings(max_examples=4)
@given(seed=seeds)
def test_the_gradient_is_the_slope(divergence: str, missing: str, seed: int) -> None:
    batch, options = _batch(seed), _options(divergence=divergence, missing=missing, temperature=1.5)
    assert batch.student_logits is not None
    assert torch.autograd.gradcheck(
        lambda z: sparse_kl.loss(replace(batch, student_logits=z), options).sum(),
        (batch.student_logits.requires_grad_(),),
        atol=1e-5,
        rtol=1e-4,
    )


def _head(seed: int, words: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((2, 3, 5), (words, 5), (words,))
    hidden, weight, bias = (torch.randn(s, generator=generator, dtype=torch.float64).to(dtype) for s in shapes)
    return hidden.requires_grad_(), weight.requires_grad_(), bias.requires_grad_()


@every_form
@pytest.mark.parametrize("chunk", [1, 4, 11, 100])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=str)
def test_chunked_is_dense(divergence: str, missing: str, chunk: int, dtype: torch.dtype, close: float) -> None:
    batch = replace(_batch(3, dtype=dtype), student_logits=None)
    hidden, weight, bias = _head(4, 11, dtype)
    options = _options(divergence=divergence, missing=missing, temperature=2.0, chunk=chunk)
    dense = sparse_kl.loss(replace(batch, student_logits=hidden @ weight.mT + bias), options)
    chunked = sparse_kl.loss(replace(batch, hidden=hidden, weight=weight, bias=bias), options)
    torch.testing.assert_close(chunked, dense, rtol=close, atol=close)
    wanted = torch.autograd.grad(dense.sum(), [hidden, weight, bias])
    found = torch.autograd.grad(chunked.sum(), [hidden, weight, bias])
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=close * 10, atol=close * 10)


def test_a_head_without_bias_and_a_frozen_head_will_do() -> None:
    batch = replace(_batch(3), student_logits=None)
    hidden, weight, _ = _head(4, 11, torch.float64)
    frozen = replace(batch, hidden=hidden, weight=weight.detach())
    value = sparse_kl.loss(frozen, _options())
    (slope,) = torch.autograd.grad(value.sum(), hidden)
    assert slope.abs().sum() > 0


@every_form
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_awkward_targets_stay_finite(divergence: str, missing: str, dtype: torch.dtype) -> None:
    options = _options(divergence=divergence, missing=missing, temperature=2.0)
    sure = torch.tensor([0.0, -1e4, -1e4]).expand(1, 2, 3)
    for logits, logprobs in (
        (torch.zeros(1, 2, 3), sure),
        (torch.tensor([1e4, -1e4, 0.0]).expand(1, 2, 3), sure.flip(-1)),
        (torch.tensor([1e4, -1e4, 0.0]).expand(1, 2, 3), torch.full((1, 2, 3), -1.0986123)),
        (torch.tensor([1.0, 1.0, 1.0]).expand(1, 2, 3), torch.full((1, 2, 3), -5.0)),
    ):
        for valid in (torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, 2, dtype=torch.bool)):
            leaf = logits.to(dtype).clone().requires_grad_()
            batch = TokenBatch(valid, leaf, top_ids=torch.arange(3).expand(1, 2, 3), top_logprobs=logprobs.to(dtype))
            value = sparse_kl.loss(batch, options)
            (slope,) = torch.autograd.grad(value.sum(), leaf)
            assert torch.isfinite(value).all() and torch.isfinite(slope).all(), (value, slope)


def _two_vocabularies(seed: int) -> TokenBatch:
    generator = torch.Generator().manual_seed(seed)
    return TokenBatch(
        torch.tensor([[True, True, True], [True, False, True]]),
        torch.randn(2, 3, 5, generator=generator, dtype=torch.float64),
        teacher_logits=torch.randn(2, 4, 7, generator=generator, dtype=torch.float64),
        teacher_valid_BM=torch.tensor([[True, True, False, False], [False, True, True, True]]),
        matched=torch.tensor([[0, 2], [3, 1]]),
    )


@settings(max_examples=10)
@given(seed=seeds)
def test_vocabularies_may_be_renamed(seed: int) -> None:
    batch, generator = _two_vocabularies(seed), torch.Generator().manual_seed(seed)
    assert batch.student_logits is not None and batch.teacher_logits is not None
    before = universal_logit.loss(batch, universal_logit.Options())
    assert before.shape == (2,) and (before >= 0).all() and (before <= 2).all()
    renamed = replace(
        batch,
        student_logits=batch.student_logits[..., torch.randperm(5, generator=generator)],
        teacher_logits=batch.teacher_logits[..., torch.randperm(7, generator=generator)],
    )
    torch.testing.assert_close(universal_logit.loss(renamed, universal_logit.Options()), before)


@pytest.mark.parametrize("values", [{}, {"matched": True}, {"matched": True, "share": 0.0}], ids=str)
@settings(max_examples=4)
@given(seed=seeds)
def test_the_gradient_across_vocabularies_is_the_slope(values: dict[str, Any], seed: int) -> None:
    batch, options = _two_vocabularies(seed), universal_logit.Options(student_temperature=2.0, **values)
    assert batch.student_logits is not None
    assert torch.autograd.gradcheck(
        lambda z: universal_logit.loss(replace(batch, student_logits=z), options).sum(),
        (batch.student_logits.requires_grad_(),),
        atol=1e-5,
        rtol=1e-4,
    )


def test_equal_sides_cost_nothing_and_silent_sequences_neither() -> None:
    batch = _two_vocabularies(0)
    same = replace(batch, teacher_logits=batch.student_logits, teacher_valid_BM=batch.valid_BN)
    pairs = torch.arange(5).unsqueeze(1).expand(5, 2)
    for options in (universal_logit.Options(), universal_logit.Options(matched=True)):
        assert universal_logit.loss(replace(same, matched=pairs), options).abs().max() < 1e-12
    silent = replace(batch, valid_BN=torch.zeros(2, 3, dtype=torch.bool))
    assert universal_logit.loss(silent, universal_logit.Options()).tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("values", [{}, {"matched": True}, {"matched": True, "share": 1.0}], ids=str)
def test_awkward_vocabularies_stay_finite(dtype: torch.dtype, values: dict[str, Any]) -> None:
    batch = _two_vocabularies(0)
    for rows in (torch.zeros(2, 3, 5), torch.tensor([1e4, -1e4, 0.0, 0.0, 1e4]).expand(2, 3, 5)):
        leaf = rows.to(dtype).clone().requires_grad_()
        assert batch.teacher_logits is not None
        odd = replace(batch, student_logits=leaf, teacher_logits=batch.teacher_logits.to(dtype))
        value = universal_logit.loss(odd, universal_logit.Options(**values))
        (slope,) = torch.autograd.grad(value.sum(), leaf)
        assert torch.isfinite(value).all() and torch.isfinite(slope).all()


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match="top_ids"):
        sparse_kl.loss(TokenBatch(torch.ones(1, 1, dtype=torch.bool)), _options())
    with pytest.raises(ConfigError, match="matched"):
        universal_logit.loss(replace(_two_vocabularies(0), matched=None), universal_logit.Options(matched=True))
