"""Metrics."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from pipelines.metrics.information_decomposition import decompose, mutual_information
from tests.golden.case import Case
from tests.golden.check import Output

IDS = ("pid",)
SKIPS = {"pid": {"name"}}


def pid(case: Case) -> Mapping[str, Output]:
    joint = case.fixed("P").numpy()
    found = decompose(joint)
    values = {
        "red": found.redundant,
        "uni1": found.unique_1,
        "uni2": found.unique_2,
        "syn": found.synergy,
        "mi_y_x1": mutual_information(joint, of="first"),
        "mi_y_x2": mutual_information(joint, of="second"),
        "mi_y_x1x2": mutual_information(joint),
    }
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}
