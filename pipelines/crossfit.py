"""Cross-fitting: a setting is judged by students that never saw the rows they are judged on.

The rows to be judged on are cut into folds; for each fold a student is trained with those rows held out of *every*
row set, and the predictions of all folds together give one score. The folds' students advance epoch by epoch, so a
scheduler can stop a hopeless trial early.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from foundation.errors import ConfigError
from pipelines.evaluate import predict, teacher_mixture
from pipelines.loop import TrainingData, TrainJob, train
from pipelines.metric import measure
from pipelines.order import permutation
from pipelines.score_config import ScoreConfig
from teachers.meter import TeacherMeter

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class TrialProgress:
    """A trial after an epoch.

    Attributes:
        epoch: epochs finished. last: True after the last one.
        score: higher is better.
        metrics: all parts of the score, by metric name, pooled over the held-out rows of all folds.
        teacher_rows: rows that teachers were asked for in this process since the trial began (0 with a cache).
        losses: mean training loss per term, averaged over folds.
    """

    epoch: int
    last: bool
    score: float
    metrics: dict[str, float]
    teacher_rows: int
    losses: dict[str, float]


def folds(labels_N: Array, positions: Array, n: int, seed: int) -> list[Array]:
    """Cuts `positions` into n folds, stratified by label (unlabelled rows are a class of their own).

    Each class is shuffled by `seed` and dealt round in turn, one class going on where the last one stopped, so both
    the folds and each class's parts differ by one row at most. Raises `ConfigError` for fewer rows than folds.
    """
    positions = np.asarray(positions, dtype=np.int64)
    if n < 2 or len(positions) < n:
        raise ConfigError(
            "Cross-fitting needs at least two folds, and a row for each.",
            found=f"{n} folds of {len(positions)} rows",
            where="search.folds",
        )
    labels = np.asarray(labels_N)[positions]
    dealt: list[list[int]] = [[] for _ in range(n)]
    turn = 0
    for label in np.unique(labels):
        members = positions[labels == label]
        for position in members[permutation(seed, 0, len(members), f"folds:{int(label)}")]:
            dealt[turn % n].append(int(position))
            turn += 1
    return [np.asarray(sorted(fold), dtype=np.int64) for fold in dealt]


def score_trial(
    template: TrainJob, data: TrainingData, score: ScoreConfig, held_out: Sequence[Array]
) -> Iterator[TrialProgress]:
    """Trains the template once per fold, all folds side by side, and yields a score after each epoch.

    `held_out` comes from `folds`. A score that isn't finite (training diverged) is -inf. Raises `ConfigError` when
    the score needs labels, groups or teachers that aren't there.
    """
    asked = TeacherMeter.rows()
    judge = _Judge(data, score, np.concatenate(list(held_out)))
    jobs = [
        replace(template, name=f"{template.name}/fold{index}", exclude=(*template.exclude, *map(int, fold)))
        for index, fold in enumerate(held_out)
    ]
    runs = [train(job, data) for job in jobs]
    for epochs in zip(*runs, strict=True):
        logits_NC = np.concatenate(
            [predict(done.student, data, fold) for done, fold in zip(epochs, held_out, strict=True)]
        )
        value, metrics = judge.score(logits_NC)
        names = epochs[0].losses
        losses = {name: float(np.mean([done.losses[name] for done in epochs])) for name in names}
        yield TrialProgress(epochs[0].epoch, epochs[0].last, value, metrics, TeacherMeter.rows() - asked, losses)


class _Judge:
    """Scores pooled predictions on fixed rows."""

    def __init__(self, data: TrainingData, config: ScoreConfig, rows: Array) -> None:
        self._config = config
        self._labels = data.labels_N[torch.from_numpy(rows)].cpu().numpy()
        self._judged: Array = np.ones(len(rows), dtype=bool)
        self._extra: dict[str, Array] = {}
        if config.metric == "fidelity":
            if data.source is None:
                raise ConfigError("Fidelity is measured against teachers, but there are none.", where="search.score")
            teacher_NC = teacher_mixture(data.source, rows)
            # Rows that no teacher has labelled can't be judged.
            self._judged = np.asarray(np.isfinite(teacher_NC).all(axis=1))
            self._extra["teacher_NC"] = teacher_NC[self._judged]
        elif not (self._labels >= 0).any():
            raise ConfigError(
                f"The score {config.metric!r} needs labels, but none of its rows has one.",
                where="search.score",
                next_step="choose metric: fidelity, or a labelled row set",
            )
        if config.group is not None:
            if config.group not in data.groups:
                known = ", ".join(data.groups) or "none"
                raise ConfigError(
                    "Unknown group column.", expected=known, found=config.group, where="search.score.group"
                )
            self._extra["groups_N"] = data.groups[config.group][torch.from_numpy(rows)].cpu().numpy()[self._judged]

    def score(self, logits_NC: Array) -> tuple[float, dict[str, float]]:
        """Returns the score and its parts."""
        likeness = self._config.metric == "fidelity"
        names = ["agreement", "fidelity"] if likeness else list(dict.fromkeys([self._config.metric, "nll", "accuracy"]))
        metrics = {
            name: measure(name, logits_NC[self._judged], self._labels[self._judged], **self._extra) for name in names
        }
        if likeness:
            value = metrics["agreement"] + self._config.nll_weight * metrics["fidelity"]
        else:
            sign = -1.0 if self._config.metric == "nll" else 1.0
            value = sign * metrics[self._config.metric] - self._config.nll_weight * metrics["nll"]
        return (value if np.isfinite(value) else float("-inf")), metrics
