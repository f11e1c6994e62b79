"""Brier score: squared distance between the probabilities and the label."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from foundation.model import PluginOptions
from pipelines.metric import Array, labelled, log_softmax

HIGHER_IS_BETTER = False


class Options(PluginOptions):
    """mean sum_c (q_c - [c = y])^2, in [0, 2] (Brier 1950)."""

    kind: Literal["brier"] = "brier"


def measure(logits_NC: Array, labels_N: Array, **extra: Any) -> float:
    """Returns the mean over labelled rows."""
    logits_MC, labels_M = labelled(logits_NC, labels_N)
    if not len(labels_M):
        return float("nan")
    probabilities_MC = np.exp(log_softmax(logits_MC))
    probabilities_MC[np.arange(len(labels_M)), labels_M] -= 1.0
    return float(np.square(probabilities_MC).sum(axis=1).mean())
