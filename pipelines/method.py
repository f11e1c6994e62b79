"""Contract: a method is one distillation idea, a pure function to per-example losses.

A method is one file in `pipelines/methods/` with

    class Options(PluginOptions)       its options; the docstring gives idea, formula, source
    NEEDS = Needs(...)                 what it must be given
    def loss(...)                      per-example losses, never reduced over examples

and one of three calls, which `NEEDS` decides:

    signals: loss(student_logits [..., B, C], teacher_logits [..., B, C], class_mask bool, options) -> [..., B]
    labels:  loss(student_logits_BC, labels_B, options) -> [B]
    both:    loss(student_logits, teacher_logits, class_mask, labels_B, options) -> [..., B]

Labels are class indexes; a method of the second form is given labelled rows only, one of the third form must say what
it does with rows of label -1.

Leading dimensions are teachers, all at once; the inputs broadcast against each other, and `class_mask` broadcasts to
them ([K, 1, C], [B, C] or [1, C]). Classes outside the mask do not exist: both sides are renormalised over the mask.
A method knows no temperature (the lens scales both sides and the objective gives the T^2), no weights and no mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from teachers.signals import SignalRequest

LOGITS = SignalRequest("logits")

LogitLoss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""A signal method with its options bound: (student, teacher, class_mask) -> per-example losses."""

# Finite on purpose: -inf turns 0 * (-inf + inf) into NaN. exp(-1e30) is exactly 0 in every float type we compute in.
ABSENT = -1e30

# On a CPU torch's softmax over a short last dimension runs element by element; over a strided one it is vectorised
# (7 x 128 rows of 10 classes: 86 us against 9 us with the copy). Long rows are vectorised either way.
FEW_CLASSES = 64


@dataclass(frozen=True)
class Needs:
    """What a method or weighting must be given: true labels, and signals of each teacher."""

    labels: bool = False
    signals: tuple[SignalRequest, ...] = ()


def masked_log_softmax(logits: Tensor, class_mask: Tensor) -> Tensor:
    """Returns log-probabilities over the classes of the mask; about -1e30 elsewhere (probability exactly 0).

    Half precision is computed in float32. A mask without any class gives a uniform row, never NaN.
    """
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    known = torch.where(class_mask, logits, ABSENT)
    if known.shape[-1] > FEW_CLASSES or known.device.type != "cpu":
        return torch.log_softmax(known, dim=-1)
    return torch.log_softmax(known.transpose(-1, -2).contiguous(), dim=-2).transpose(-1, -2)
