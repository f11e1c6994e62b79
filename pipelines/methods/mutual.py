"""Mutual learning: a peer's probabilities are the target, and the peer is learning at the same time."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from foundation.model import PluginOptions
from pipelines.maths.divergences import kl
from pipelines.method import LOGITS, Needs, masked_log_softmax

NEEDS = Needs(signals=(LOGITS,))


class Options(PluginOptions):
    """KL(p_peer || q), the peers' term of Deep Mutual Learning (Zhang et al. 2018, eq. 3-4); zero at equal logits.

    detach: peers are targets only, as in the paper, where each peer steps by its own loss. The re-implementation
        behind the golden numbers lets the gradient reach the peers too: `detach: false`.
    The mean over peers is the fusion `losses` with the weighting `uniform`, which also gives the T^2; the label term is
    a term of its own. The cohort that trains peers side by side is a flow and not part of this file; its loss is, as
    `exchange` (weighted mutual learning, Iyer 2024, after Zhang et al. 2022: nobody is detached there).
    """

    kind: Literal["mutual"] = "mutual"
    detach: bool = True


def loss(student_logits: Tensor, teacher_logits: Tensor, class_mask: Tensor, options: Options) -> Tensor:
    """Returns divergences [..., B]; `teacher_logits` are those of the peers [..., B, C]."""
    peers = teacher_logits.detach() if options.detach else teacher_logits
    return kl(masked_log_softmax(peers, class_mask), masked_log_softmax(student_logits, class_mask))


def exchange(logits_MBC: Tensor, weights_M: Tensor, class_mask: Tensor) -> Tensor:
    """Returns what each of M peers learns from the others, sum_{j != i} w_j KL(p_j || p_i), as [M, B] (or [M, B, T]).

    Both sides of every divergence carry gradient, and so do the weights.
    """
    log_p = masked_log_softmax(logits_MBC, class_mask)
    pairs_ij = kl(log_p.unsqueeze(0), log_p.unsqueeze(1))  # i learns from j; the diagonal is exactly 0
    shape = (1, len(weights_M)) + (1,) * (pairs_ij.dim() - 2)
    return (weights_M.view(shape) * pairs_ij).sum(1)
