"""Configuration of how a trial is judged."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from foundation.model import StrictModel


class ScoreConfig(StrictModel):
    """score = metric - nll_weight * NLL over held-out rows, higher is better (metric nll counts negative).

    metric: fidelity needs no labels: agreement with the plain mean of the teachers, minus nll_weight * KL to it.
    rows: row set whose rows are held out in turn.
    group: side column whose values are the groups of worst_group (default: the classes).
    """

    metric: Literal["nll", "accuracy", "macro_f1", "worst_group", "fidelity"] = "accuracy"
    rows: str
    nll_weight: Annotated[float, Field(ge=0)] = 0.1
    group: str | None = None
