"""Expected calibration error: how far stated confidence is from the share of right answers."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from foundation.model import PluginOptions
from pipelines.metric import Array, labelled, log_softmax

HIGHER_IS_BETTER = False


class Options(PluginOptions):
    """sum_b n_b / N |accuracy_b - confidence_b| over 15 equal-width bins of the top probability (Guo et al. 2017)."""

    kind: Literal["ece"] = "ece"


BINS = 15


def measure(logits_NC: Array, labels_N: Array, **extra: Any) -> float:
    """Returns a value in [0, 1]; bins are (lower, upper]."""
    logits_MC, labels_M = labelled(logits_NC, labels_N)
    if not len(labels_M):
        return float("nan")
    confidence_M = np.exp(log_softmax(logits_MC).max(axis=1))
    right_M = logits_MC.argmax(axis=1) == labels_M
    bin_M = np.clip(np.ceil(confidence_M * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gap_b = np.bincount(bin_M, weights=right_M - confidence_M, minlength=BINS)
    return float(np.abs(gap_b).sum() / len(labels_M))
