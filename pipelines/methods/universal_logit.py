"""Universal logit distillation: student and teacher have different vocabularies; sorted probabilities are compared."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.maths.classes import wide
from pipelines.maths.divergences import jensen_shannon
from pipelines.method import LOGITS, Needs
from pipelines.token_method import TokenBatch, need

NEEDS = Needs(signals=(LOGITS,))
SPANS_BATCH = False


class Options(PluginOptions):
    """(1 / n) sum over tokens of |sort p_s - sort p_t|_1, both sorted from large to small and padded with zeros
    (Boizard et al.: Towards Cross-Tokenizer Distillation, 2024, eq. 6), per sequence; the j-th counted token of the
    student meets the j-th of the teacher, n = the shorter count.

    matched: vocabulary entries with the same text (pairs of ids in the batch) are compared by a divergence instead
        (`share` b: 0 = KL(p_t || p_s), 1 = KL(p_s || p_t), between: generalised Jensen-Shannon), the others by sorting;
        weights m / V_t and 1 - m / V_t with m pairs. Matched columns are not renormalised (sub-distributions, clamped
        at 1e-8: this "KL" may be negative), in the manner of TRL's GOLD.
    weights: (matched, unmatched) in place of m / V_t and 1 - m / V_t.
    Own temperatures for both sides; no T^2. Invariant to any renaming of either vocabulary (without `matched`).
    """

    kind: Literal["universal_logit"] = "universal_logit"
    matched: bool = False
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    weights: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]] | None = None
    student_temperature: Annotated[float, Field(gt=0)] = 1.0
    teacher_temperature: Annotated[float, Field(gt=0)] = 1.0


def loss(batch: TokenBatch, options: Options) -> Tensor:
    """Returns losses [B]; 0 for a sequence without a counted token on one side."""
    student, teacher, teacher_valid = need(
        "universal_logit",
        student_logits=batch.student_logits,
        teacher_logits=batch.teacher_logits,
        teacher_valid_BM=batch.teacher_valid_BM,
    )
    pairs = need("universal_logit", matched=batch.matched)[0] if options.matched else None
    found = []
    for s, t, s_valid, t_valid in zip(student, teacher, batch.valid_BN.bool(), teacher_valid.bool(), strict=True):
        count = min(int(s_valid.sum()), int(t_valid.sum()))
        p_s = torch.softmax(wide(s[s_valid][:count]) / options.student_temperature, -1)
        p_t = torch.softmax(wide(t[t_valid][:count]) / options.teacher_temperature, -1)
        rows = unmatched(p_s, p_t) if pairs is None else combined(p_s, p_t, pairs, options)
        found.append(rows.sum() / max(count, 1))
    return torch.stack(found)


def unmatched(student_NV: Tensor, teacher_NW: Tensor) -> Tensor:
    """Returns the distance [N] of sorted probabilities."""
    width = max(student_NV.shape[-1], teacher_NW.shape[-1])
    sides = (F.pad(p.sort(-1, descending=True).values, (0, width - p.shape[-1])) for p in (student_NV, teacher_NW))
    return (next(sides) - next(sides)).abs().sum(-1)


def matched_rows(student_Nm: Tensor, teacher_Nm: Tensor, share: float) -> Tensor:
    """Returns the divergence [N] of matched columns, given as sub-distributions."""
    log_q, log_p = (p.clamp_min(1e-8).log() for p in (student_Nm, teacher_Nm))
    return jensen_shannon(log_p, log_q, share)


def split(student_NV: Tensor, teacher_NW: Tensor, pairs: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Returns the matched part [N] and the unmatched part [N]."""
    rest = []
    for probabilities, ids in ((student_NV, pairs[:, 0]), (teacher_NW, pairs[:, 1])):
        free = torch.ones(probabilities.shape[-1], dtype=torch.bool, device=ids.device)
        free[ids] = False
        rest.append(probabilities[:, free])
    same = matched_rows(student_NV[:, pairs[:, 0]], teacher_NW[:, pairs[:, 1]], share)
    return same, unmatched(*rest)


def combined(student_NV: Tensor, teacher_NW: Tensor, pairs: Tensor, options: Options) -> Tensor:
    """Returns the weighted sum [N] of both parts of probabilities."""
    same, other = split(student_NV, teacher_NW, pairs, options.share)
    known = len(pairs) / teacher_NW.shape[-1]
    of_same, of_other = options.weights or (known, 1 - known)
    return of_same * same + of_other * other
