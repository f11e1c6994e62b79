"""Agreement: the share of rows where student and teachers name the same class."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from foundation.model import PluginOptions
from pipelines.metric import Array

HIGHER_IS_BETTER = True


class Options(PluginOptions):
    """mean [argmax q = argmax t], t the fused teachers' probabilities. Needs no labels."""

    kind: Literal["agreement"] = "agreement"


def measure(logits_NC: Array, labels_N: Array, *, teacher_NC: Array | None = None, **extra: Any) -> float:
    """Returns a value in [0, 1]; `teacher_NC` are probabilities. NaN without teachers or rows."""
    if teacher_NC is None or not len(logits_NC):
        return float("nan")
    return float(np.mean(np.asarray(logits_NC).argmax(axis=1) == np.asarray(teacher_NC).argmax(axis=1)))
