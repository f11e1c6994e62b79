"""Cross-entropy with the teacher's probabilities as soft labels."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from foundation.model import PluginOptions
from pipelines.maths.divergences import cross_entropy
from pipelines.method import LOGITS, Needs, masked_log_softmax

NEEDS = Needs(signals=(LOGITS,))


class Options(PluginOptions):
    """- sum_c p_c log q_c, p = teacher, q = student (Hinton, Vinyals, Dean 2015, before the entropy is subtracted).

    Same gradient as `kl` forward; the value at student = teacher is the teacher's entropy, its minimum, not 0.
    Sum over the known classes, no T^2 of its own (a fusion gives it), teacher side not detached here.
    """

    kind: Literal["soft_cross_entropy"] = "soft_cross_entropy"


def loss(student_logits: Tensor, teacher_logits: Tensor, class_mask: Tensor, options: Options) -> Tensor:
    """Returns cross-entropies [..., B] of logits [..., B, C]."""
    log_p = masked_log_softmax(teacher_logits, class_mask)
    return cross_entropy(log_p, masked_log_softmax(student_logits, class_mask))
