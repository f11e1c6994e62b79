"""The sections of a configuration that only the top floor cares about: labelling, search, comparison.

Everything else lives beside what it configures and is only composed in `root.py`.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from foundation.model import StrictModel
from pipelines.score_config import ScoreConfig
from pipelines.space import Dimension


class LabelConfig(StrictModel):
    """Which row sets every teacher labels, and whether the run goes on when single rows had to be set aside."""

    rows: tuple[str, ...] = Field(min_length=1)
    allow_quarantine: bool = False


class HalvingConfig(StrictModel):
    """Asynchronous successive halving: how early, and how hard, weak trials are stopped."""

    grace_epochs: int = Field(default=10, ge=1)
    reduction: int = Field(default=3, ge=2)


class SearchConfig(StrictModel):
    """The search for temperatures, weights or anything else in `space`.

    `trials` counts the enqueued baselines too; `folds` is the number of parts of the cross-fitting, `repeats` how many
    times the rows are dealt into folds anew (few labelled rows make a noisy score: three deals cost three times the
    time and cut the noise); `average` trials, the best ones, are averaged into one more (1: the best one is taken);
    `concurrent` bounds trials at a time; `halving: null` lets every trial run to its end.
    """

    trials: int = Field(default=100, ge=1)
    seed: int = Field(default=0, ge=0)
    epochs: int = Field(default=40, ge=1)
    folds: int = Field(default=2, ge=2)
    repeats: int = Field(default=1, ge=1, le=100)
    average: int = Field(default=5, ge=1)
    concurrent: int = Field(default=2, ge=1)
    halving: HalvingConfig | None = HalvingConfig()
    score: ScoreConfig
    space: dict[str, Dimension] = Field(min_length=1)


class TuningConfig(StrictModel):
    """Values tried for each single teacher and for the uniform mean, so that the comparison is fair."""

    temperatures: tuple[float, ...] = Field(default=(1.0, 2.0, 4.0), min_length=1)
    label_shares: tuple[float, ...] = Field(default=(0.125, 0.3), min_length=1)

    @model_validator(mode="after")
    def _in_range(self) -> TuningConfig:
        if any(value <= 0 for value in self.temperatures):
            raise ValueError("temperatures above 0")
        if any(not 0 <= value < 1 for value in self.label_shares):
            raise ValueError("label_shares from 0 to below 1 (1 would be no teacher at all: that is `labels_only`)")
        return self


class OracleConfig(StrictModel):
    """The reference nobody could build without the answer: these teachers are dropped by hand."""

    drop: tuple[str, ...] = Field(min_length=1)


class CompareConfig(StrictModel):
    """The roster of students, over which seeds, and the row set that judges them once, at the end."""

    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    tuning: TuningConfig = TuningConfig()
    oracle: OracleConfig | None = None
    test: str = "test"

    @model_validator(mode="after")
    def _seeds_differ(self) -> CompareConfig:
        if len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise ValueError("seeds that differ and are not negative")
        return self
