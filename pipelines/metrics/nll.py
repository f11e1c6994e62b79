"""Negative log-likelihood: how surprised the student is by the labels."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from foundation.model import PluginOptions
from pipelines.metric import Array, labelled, log_softmax

HIGHER_IS_BETTER = False


class Options(PluginOptions):
    """mean - log q(y), natural logarithm, at T = 1."""

    kind: Literal["nll"] = "nll"


def measure(logits_NC: Array, labels_N: Array, **extra: Any) -> float:
    """Returns the mean over labelled rows."""
    logits_MC, labels_M = labelled(logits_NC, labels_N)
    if not len(labels_M):
        return float("nan")
    return float(-log_softmax(logits_MC)[np.arange(len(labels_M)), labels_M].mean())
