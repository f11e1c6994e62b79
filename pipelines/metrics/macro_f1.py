"""Macro F1: every class counts the same, however rare."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from foundation.model import PluginOptions
from pipelines.metric import Array, labelled

HIGHER_IS_BETTER = True


class Options(PluginOptions):
    """mean over classes of 2 TP / (2 TP + FP + FN), over classes that occur as label or answer."""

    kind: Literal["macro_f1"] = "macro_f1"


def measure(logits_NC: Array, labels_N: Array, **extra: Any) -> float:
    """Returns a value in [0, 1]."""
    logits_MC, labels_M = labelled(logits_NC, labels_N)
    if not len(labels_M):
        return float("nan")
    answers_M = logits_MC.argmax(axis=1)
    classes = logits_MC.shape[1]
    hits_C = np.bincount(labels_M[answers_M == labels_M], minlength=classes)
    seen_C = np.bincount(labels_M, minlength=classes) + np.bincount(answers_M, minlength=classes)
    occurs_C = seen_C > 0
    return float((2 * hits_C[occurs_C] / seen_C[occurs_C]).mean())
