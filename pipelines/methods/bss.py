"""Boundary supporting samples: learn what the teacher says just across its decision boundary."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from foundation.model import PluginOptions
from pipelines.maths.divergences import kl
from pipelines.method import LOGITS, Needs, masked_log_softmax

NEEDS = Needs(signals=(LOGITS,))


class Options(PluginOptions):
    """KL(softmax(z_t(x') / T) || softmax(z_s / T)), x' = `pipelines.maths.boundary_attack.cross_boundary` of a row
    (Heo, Lee, Yun, Choi: Knowledge Distillation with Adversarial Samples Supporting Decision Boundary, AAAI 2019, eq.
    6).

    Both sides are evaluated by the caller: the teacher at x', the student at x' (or, as a third party's code and the
    golden numbers allow, wherever its logits come from). No T^2 (T is an option for that reason, not the lens). Zero at
    equal logits up to a shift.
    """

    kind: Literal["bss"] = "bss"
    temperature: Annotated[float, Field(gt=0)] = 3.0


def loss(student_logits: Tensor, teacher_logits: Tensor, class_mask: Tensor, options: Options) -> Tensor:
    """Returns divergences [..., B]."""
    t = options.temperature
    return kl(masked_log_softmax(teacher_logits / t, class_mask), masked_log_softmax(student_logits / t, class_mask))
