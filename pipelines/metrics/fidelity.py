"""Fidelity: how close the student's probabilities are to the teachers'."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from foundation.model import PluginOptions
from pipelines.metric import Array, log_softmax

HIGHER_IS_BETTER = True


class Options(PluginOptions):
    """- mean KL(t || q), t the fused teachers' probabilities; 0 is perfect (Stanton et al. 2021). Needs no labels."""

    kind: Literal["fidelity"] = "fidelity"


def measure(logits_NC: Array, labels_N: Array, *, teacher_NC: Array | None = None, **extra: Any) -> float:
    """Returns a value <= 0; `teacher_NC` are probabilities. NaN without teachers or rows."""
    if teacher_NC is None or not len(logits_NC):
        return float("nan")
    teacher = np.asarray(teacher_NC, dtype=np.float64)
    log_teacher = np.log(np.where(teacher > 0, teacher, 1.0))
    return float(-(teacher * (log_teacher - log_softmax(logits_NC))).sum(axis=1).mean())
