"""Accuracy: the share of rows whose most likely class is the label."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from foundation.model import PluginOptions
from pipelines.metric import Array, labelled

HIGHER_IS_BETTER = True


class Options(PluginOptions):
    """mean [argmax z = y], in [0, 1]; ties go to the first class."""

    kind: Literal["accuracy"] = "accuracy"


def measure(logits_NC: Array, labels_N: Array, **extra: Any) -> float:
    """Returns the share of labelled rows that are right."""
    logits_MC, labels_M = labelled(logits_NC, labels_N)
    return float(np.mean(logits_MC.argmax(axis=1) == labels_M)) if len(labels_M) else float("nan")
