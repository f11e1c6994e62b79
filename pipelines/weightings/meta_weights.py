"""MMKD: a small network gives each teacher's weight, row by row, and is trained by where training with it would go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.maths.unrolled import Parameters, descend
from pipelines.method import LOGITS, Needs
from pipelines.student_weighting import Moment, seen, shares
from pipelines.teacher_logits import TeacherLogits

NEEDS = Needs(signals=(LOGITS,))
PER_ROW = True
SEES = ("student", "network")


class Options(PluginOptions):
    """w = softmax(A2 relu(A1 [v_1; ..; v_K; sg v_s])), v = logits, or for feature terms rows of the Gram matrix F F^T
    (Zhang, Chen, Wang: Adaptive Multi-Teacher Knowledge Distillation with Meta-Learning, ICME 2023, eq. 2-7).

    Hidden width: half the input. The network learns by a meta step (`meta_loss`): from a copy of the student and its
    adapters take two SGD steps on the matching losses with these weights and one on the cross-entropy, and descend on
    the cross-entropy of where that ends; the copy is thrown away. Authors: every 5 iterations, on a buffer of 256 hard
    rows. Exactly unrolled here; the authors' recursion equals it without Nesterov momentum. With Gram rows the batch
    size is baked into the network. Teachers missing from a row get nothing and the others share; their inputs
    are zeros.
    """

    kind: Literal["meta_weights"] = "meta_weights"


class WeightNetwork(nn.Module):
    """Linear, ReLU, linear, softmax over the teachers: [B, width] per teacher and student to [B, K]."""

    def __init__(self, teachers: int, width: int) -> None:
        super().__init__()
        inward = (teachers + 1) * width
        self.layer = nn.Linear(inward, max(1, inward // 2))
        self.all_act = nn.Linear(max(1, inward // 2), teachers)

    def forward(self, teachers: Sequence[Tensor], student: Tensor) -> Tensor:
        inputs = torch.cat([*teachers, student.detach()], dim=1)
        return torch.softmax(self.all_act(torch.relu(self.layer(inputs))), dim=1)


def network(options: Options, teachers: int, classes: int) -> nn.Module:
    """Returns the network for logits of `classes` classes (for Gram rows: of the batch's size)."""
    return WeightNetwork(teachers, classes)


def weights(
    options: Options,
    teachers: TeacherLogits | None,
    labels_B: Tensor | None,
    names: Sequence[str],
    moment: Moment,
) -> Tensor:
    """Returns weights [K, B] with gradient to the network alone."""
    seen("meta_weights", teachers, moment.student_logits_BC, moment.network)
    assert teachers is not None and moment.student_logits_BC is not None
    learnt_BK = cast(WeightNetwork, moment.network)(list(teachers.logits_KBC), moment.student_logits_BC)
    return learnt_BK.mT if teachers.complete else shares(learnt_BK.mT, teachers.present_KB)


def meta_loss(
    parameters: Parameters,
    matching: Callable[[Parameters], Tensor],
    hard: Callable[[Parameters], Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> Tensor:
    """Returns the cross-entropy after two steps on `matching` and one on `hard`; its slope in the network trains it.

    parameters: of student and adapters, by name; both losses are functions of them (torch.func.functional_call).
    """
    steps = [matching, matching, hard]
    return hard(descend(parameters, steps, lr=lr, momentum=momentum, weight_decay=weight_decay))
