"""Contract: a metric is one number about predictions on rows, in plain numpy.

A metric is one file in `pipelines/metrics/` with

    class Options(PluginOptions)       for the list of plug-ins; metrics take no options in a configuration
    HIGHER_IS_BETTER: bool
    def measure(logits_NC, labels_N, **extra) -> float

`labels_N` are class indexes; rows with -1 (unlabelled) are left out, and without any row left the value is NaN (a
report says "no rows", it doesn't invent a number). `extra` is `teacher_NC` (the fused teachers' probabilities) for
metrics of likeness and `groups_N` for metrics over groups; each metric documents what it takes and ignores the rest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foundation import registry

Array = np.ndarray[Any, np.dtype[Any]]


def measure(name: str, logits_NC: Array, labels_N: Array, **extra: Any) -> float:
    """Returns the metric `name`. Raises `PluginError` when there is no such metric."""
    return float(registry.load("metric", name).measure(logits_NC, labels_N, **extra))


def log_softmax(logits_NC: Array) -> Array:
    """Returns log-probabilities [N, C] in float64, stable for any finite logits."""
    wide = np.asarray(logits_NC, dtype=np.float64)
    shifted = wide - wide.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def labelled(logits_NC: Array, labels_N: Array) -> tuple[Array, Array]:
    """Returns the rows that have a label."""
    has = np.asarray(labels_N) >= 0
    return np.asarray(logits_NC)[has], np.asarray(labels_N)[has]
