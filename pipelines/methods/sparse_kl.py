"""Distillation of token models from the teacher's k likeliest tokens."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.maths.chunked_head import chosen_log_probabilities
from pipelines.maths.classes import wide
from pipelines.method import ABSENT, Needs
from pipelines.token_method import TokenBatch, need
from teachers.signals import SignalRequest

NEEDS = Needs(signals=(SignalRequest("topk"),))
SPANS_BATCH = False
_TINY = 1e-7  # safe in float32, where 1 - 1e-8 is 1


class Options(PluginOptions):
    """Divergence between teacher p and student q on k tokens, per token; q_r = 1 - sum q_k, in the manner of
    DistillKit.

    missing: `renormalise`: p_k = softmax of lp_k / T, nothing is left for other tokens (p_r = 0); `one_token`: the tail
        counts as one token, p_r proportional to (1 - sum exp lp_k)^(1/T), which at T = 1 is its true mass and at other
        T is NOT the tempered tail's mass (that needs the tail's log-sum-exp).
    divergence: `kl` sum p log(p / q) (with `one_token` also over the rest), `js`, `tv` (both always with the rest),
        `hinge` relu((p_k - p_l) - (q_k - q_l)) over pairs with p_k > p_l, as the mean over all such pairs of the batch;
        it never renormalises, whatever `missing` says.
    The student's q is the softmax of all its logits / T. T^2 multiplies with `square` (default). Without logits in the
    batch the head is applied chunk by chunk (`chunk` words): no [tokens, vocabulary] is ever held.
    A teacher's tail of 1e-7 or less is none, and the student's is clamped there: no NaN when k tokens hold everything.
    Zero at student = teacher when the k tokens are the whole vocabulary.
    """

    kind: Literal["sparse_kl"] = "sparse_kl"
    divergence: Literal["kl", "js", "tv", "hinge"] = "kl"
    missing: Literal["renormalise", "one_token"] = "one_token"
    temperature: Annotated[float, Field(gt=0)] = 1.0
    square: bool = True
    chunk: Annotated[int, Field(ge=1)] = 4096


def loss(batch: TokenBatch, options: Options) -> Tensor:
    """Returns losses [B, N], 0 where a token doesn't count; never NaN on finite logits and log-probabilities."""
    ids, logprobs = need("sparse_kl", top_ids=batch.top_ids, top_logprobs=batch.top_logprobs)
    log_q = _student(batch, ids, options)
    valid_BN = batch.valid_BN.bool()
    log_p, p_rest = _teacher(logprobs.to(log_q.dtype), options)
    p, q = log_p.exp(), log_q.exp()
    q_rest = (1 - q.sum(-1)).clamp_min(_TINY)
    match options.divergence:
        case "kl":
            found = (p * (log_p - log_q)).sum(-1)
            if options.missing == "one_token":
                found = found + p_rest * (p_rest.clamp_min(_TINY).log() - q_rest.log())
        case "js":
            found = _half(p, log_p, q) + _half(q, log_q, p) + _rest_js(p_rest, q_rest)
        case "tv":
            found = 0.5 * ((p - q).abs().sum(-1) + (p_rest - q_rest).abs())
        case "hinge":
            found = _hinge(p, q, valid_BN)
    scale = options.temperature**2 if options.square else 1.0
    return torch.where(valid_BN, found * scale, 0.0)


def _student(batch: TokenBatch, ids: Tensor, options: Options) -> Tensor:
    if batch.student_logits is not None:
        scaled = wide(batch.student_logits) / options.temperature
        return scaled.gather(-1, ids) - torch.logsumexp(scaled, -1, keepdim=True)
    hidden, weight = need("sparse_kl", hidden=batch.hidden, weight=batch.weight)
    found = chosen_log_probabilities(
        hidden.flatten(0, 1),
        weight,
        batch.bias,
        ids.flatten(0, 1),
        temperature=options.temperature,
        chunk=options.chunk,
    )
    return found.view(ids.shape)


def _teacher(logprobs: Tensor, options: Options) -> tuple[Tensor, Tensor]:
    scaled = logprobs / options.temperature
    known = torch.logsumexp(scaled, -1)
    if options.missing == "renormalise" and options.divergence != "hinge":
        return scaled - known.unsqueeze(-1), torch.zeros_like(known)
    mass = 1 - logprobs.exp().sum(-1)
    log_left = torch.where(mass > _TINY, mass.clamp_min(_TINY).log() / options.temperature, ABSENT)
    total = torch.logaddexp(known, log_left)
    return scaled - total.unsqueeze(-1), (log_left - total).exp()


def _half(p: Tensor, log_p: Tensor, q: Tensor) -> Tensor:
    middle = (0.5 * (p + q)).clamp_min(torch.finfo(p.dtype).tiny)
    return 0.5 * (p * (log_p - middle.log())).sum(-1)


def _rest_js(p: Tensor, q: Tensor) -> Tensor:
    middle = (0.5 * (p + q)).clamp_min(_TINY).log()
    of_p = torch.where(p > 0, p * (p.clamp_min(_TINY).log() - middle), 0.0)
    return 0.5 * (of_p + q * (q.log() - middle))


def _hinge(p: Tensor, q: Tensor, valid_BN: Tensor) -> Tensor:
    ahead = p.unsqueeze(-1) - p.unsqueeze(-2)
    counted = (ahead > 1e-8) & valid_BN[..., None, None]
    short = torch.relu(ahead - (q.unsqueeze(-1) - q.unsqueeze(-2))).where(counted, 0.0)
    share = valid_BN.sum().clamp_min(1) / counted.sum().clamp_min(1)
    return short.sum((-1, -2)) * share
