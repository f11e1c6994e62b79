"""Trials: what one is, how a worker runs it, what is recorded of it. No Ray, no sampler.

A trial is a set of settings (configuration paths and values). Its key is the digest of its name and of the
configuration it leads to, so equal work has an equal key in every attempt. Its record, journal kind `trials`, is
durable before anybody is told the result: a search that dies goes on from records alone.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from foundation import registry
from foundation.errors import RaydistillError, StorageError
from foundation.fingerprint import fingerprint
from orchestrator.cluster.worker import WorkerSpec, training_data
from orchestrator.journal import Record
from pipelines.config_path import plain_copy, with_settings
from pipelines.objective_config import ObjectiveConfig
from pipelines.score_config import ScoreConfig
from pipelines.train_config import TrainConfig

if TYPE_CHECKING:
    from pipelines.loop import TrainJob

KIND = "trials"
Status = Literal["finished", "stopped", "failed"]
_SECTIONS = ("student", "objective", "train")


@dataclass(frozen=True)
class Trial:
    """One point to try.

    Attributes:
        key: journal key. content: fingerprint of the configuration it leads to.
        number: place in the order of suggestions, from 0.
        name: name of an enqueued trial, '' for one of the sampler's.
        params: the sampler's values by dimension; None where the space can't express an enqueued trial.
        settings: configuration path -> value.
    """

    key: str
    content: str
    number: int
    name: str
    params: dict[str, Any] | None
    settings: dict[str, Any]

    @property
    def enqueued(self) -> bool:
        return bool(self.name)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class SearchSpec:
    """What a trial's process is told. `template` is JSON of the sections student, objective and train."""

    worker: WorkerSpec
    template: str
    score: str
    epochs: int
    folds: int
    repeats: int
    seed: int
    rungs: tuple[int, ...]
    run_dir: str
    same_machine: bool


def template_of(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part of a configuration tree that a trial can change."""
    return {name: plain_copy(tree[name]) for name in _SECTIONS}


def make_trial(
    template: Mapping[str, Any], number: int, name: str, params: dict[str, Any] | None, settings: Mapping[str, Any]
) -> Trial:
    """Returns the trial of some settings. Raises `ConfigError` for a path that doesn't exist."""
    content = fingerprint(with_settings(template, settings))
    key = fingerprint({"name": name, "content": content})[:32]
    return Trial(key, content, number, name, params, plain_copy(dict(settings)))


def job_of(spec: SearchSpec, trial: Trial) -> TrainJob:
    """Returns the training job of a trial."""
    from pipelines.loop import TrainJob

    tree = with_settings(json.loads(spec.template), trial.settings)
    student = registry.load("student", tree["student"]["kind"]).Options.model_validate(tree["student"])
    fields = {name: value for name, value in tree["train"].items() if name in TrainConfig.model_fields}
    training = TrainConfig.model_validate({**fields, "epochs": spec.epochs})
    objective = ObjectiveConfig.model_validate(tree["objective"])
    return TrainJob(trial.name or trial.key, spec.seed, student, objective, training)


@dataclass
class History:
    """What is known of a running trial after an epoch; becomes its record."""

    scores: list[float | None]
    metrics: dict[str, float | None]
    teacher_rows: int
    seconds: float
    last: bool

    @property
    def score(self) -> float:
        value = self.scores[-1] if self.scores else None
        return -math.inf if value is None else value


def run_trial(spec: SearchSpec, trial: Trial) -> Iterator[History]:
    """Trains and scores a trial, yielding at every rung and at the end. A pure function of spec and trial."""
    import torch

    from pipelines.crossfit import folds, score_trial

    torch.set_num_threads(1)
    started = time.monotonic()
    job, score = job_of(spec, trial), ScoreConfig.model_validate_json(spec.score)
    sets = sorted({term.rows for term in job.objective.terms.values()} | {score.rows})
    data = training_data(spec.worker, sets, (score.group,) if score.group else ())
    labels_N, rows = data.labels_N.numpy(), data.splits[score.rows].numpy()
    deals = [folds(labels_N, rows, spec.folds, spec.seed + repeat) for repeat in range(spec.repeats)]
    held_out = [fold for deal in deals for fold in deal]
    scores: list[float | None] = []
    for progress in score_trial(job, data, score, held_out):
        scores.append(_finite(progress.score))
        if progress.last or progress.epoch in spec.rungs:
            metrics = {name: _finite(value) for name, value in progress.metrics.items()}
            seconds = time.monotonic() - started
            yield History(list(scores), metrics, progress.teacher_rows, seconds, progress.last)


def record_of(trial: Trial, history: History, status: Status) -> Record:
    """Returns the journal record of a trial that ended."""
    score = _finite(history.score)
    return {
        **trial.to_json(),
        "status": "failed" if status == "finished" and score is None else status,
        "score": score,
        "scores": list(history.scores),
        "metrics": dict(history.metrics),
        "epochs": len(history.scores),
        "teacher_rows": history.teacher_rows,
        "seconds": round(history.seconds, 3),
        "pid": os.getpid(),
        "at": round(time.time(), 3),
    }


def failed_record(trial: Trial, reason: str) -> Record:
    """Returns the record of a trial that can't be run."""
    return {**record_of(trial, History([], {}, 0, 0.0, True), "failed"), "error": reason}


def in_order(records: Mapping[str, Record]) -> list[Record]:
    """Returns the records in the order in which their trials were suggested."""
    return sorted(records.values(), key=lambda record: (record["number"], record["key"]))


def is_final(error: BaseException) -> bool:
    """Whether the same trial would fail the same way again. Lack of memory or disk may pass."""
    return isinstance(error, RaydistillError | ArithmeticError) and not isinstance(error, StorageError)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
