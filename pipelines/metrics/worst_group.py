"""Worst-group accuracy: the accuracy of the group that fares worst."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from foundation.model import PluginOptions
from pipelines.metric import Array, labelled

HIGHER_IS_BETTER = True


class Options(PluginOptions):
    """min over groups of accuracy; groups come from a side column, without one the classes are the groups."""

    kind: Literal["worst_group"] = "worst_group"


def measure(logits_NC: Array, labels_N: Array, *, groups_N: Array | None = None, **extra: Any) -> float:
    """Returns a value in [0, 1]; `groups_N` are group indexes, one per row."""
    has_N = np.asarray(labels_N) >= 0
    logits_MC, labels_M = labelled(logits_NC, labels_N)
    if not len(labels_M):
        return float("nan")
    groups_M = labels_M if groups_N is None else np.asarray(groups_N)[has_N]
    right_M = logits_MC.argmax(axis=1) == labels_M
    return min(float(right_M[groups_M == group].mean()) for group in np.unique(groups_M))
