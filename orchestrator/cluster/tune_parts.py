"""The three things Tune asks for: a function that runs a trial, a source of trials, a scheduler. Thin adapters all."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from orchestrator.cluster.halving import Halving
from orchestrator.cluster.sampler import Sampler
from orchestrator.cluster.trials import (
    KIND,
    History,
    SearchSpec,
    Trial,
    failed_record,
    is_final,
    record_of,
    run_trial,
)
from orchestrator.cluster.worker import enter
from orchestrator.journal import Journal, Record

_LEAST = -1e9  # Tune wants a finite number


def trainable(spec: SearchSpec) -> Callable[[dict[str, Any]], None]:
    """Returns the function that runs one trial in a (reused) trial process."""

    def trial(config: dict[str, Any]) -> None:
        enter(spec.worker, same_machine=spec.same_machine)
        _run(spec, Trial(**config["trial"]), Journal(Path(spec.run_dir)))

    return trial


def _run(spec: SearchSpec, trial: Trial, journal: Journal) -> None:
    if (known := journal.get(KIND, trial.key)) is not None:
        tune.report(_told(History(known["scores"], known["metrics"], known["teacher_rows"], known["seconds"], True)))
        return
    try:
        for history in run_trial(spec, trial):
            if history.last:
                journal.put(KIND, trial.key, record_of(trial, history, "finished"))
            tune.report(_told(history))
    except Exception as error:
        if not is_final(error):
            raise
        journal.put(KIND, trial.key, failed_record(trial, f"{type(error).__name__}: {error}"))
        tune.report(_told(History([], {}, 0, 0.0, True)))


def _told(history: History) -> dict[str, Any]:
    score = history.score if math.isfinite(history.score) else _LEAST
    return {"score": score, "epoch": len(history.scores), "history": vars(history)}


class RungScheduler(FIFOScheduler):
    """Stops trials by `Halving`; never an enqueued one. A stopped trial is on record before Tune hears of it."""

    def __init__(self, halving: Halving, journal: Journal, epochs: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._halving, self._journal, self._epochs = halving, journal, epochs

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Called by Tune for each report."""
        if "history" not in result:  # Tune's own word that the function has returned
            return str(TrialScheduler.CONTINUE)
        history, mine = History(**result["history"]), Trial(**trial.config["trial"])
        go_on = self._halving.goes_on(mine.key, len(history.scores), history.score)
        if go_on or history.last or mine.enqueued:
            return str(TrialScheduler.CONTINUE)
        self._journal.put(KIND, mine.key, record_of(mine, history, "stopped"))
        return str(TrialScheduler.STOP)


class TrialSource(Searcher):
    """Hands Tune one trial after the other until `total` are on record or under way.

    A trial whose configuration is on record already is recorded as a duplicate, without being run.
    """

    def __init__(
        self,
        journal: Journal,
        sampler: Sampler,
        waiting: deque[Trial],
        draw: Callable[[int], tuple[str, Trial]],
        records: Mapping[str, Record],
        total: int,
        number: int,
    ) -> None:
        super().__init__(metric="score", mode="max")
        self.on_record = frozenset(records)
        self._journal, self._sampler, self._draw = journal, sampler, draw
        self._waiting, self._total, self._number = waiting, total, number
        self._count = len(records)
        self._twins = {record["content"]: record for record in records.values() if not record.get("duplicate_of")}
        self._running: dict[str, tuple[Trial, str | None]] = {}

    def suggest(self, trial_id: str) -> Any:
        """Returns the configuration of Tune's next trial, or says that there is none."""
        while self._count < self._total:
            ticket: str | None = None
            if self._waiting:
                trial = self._waiting.popleft()
            else:
                ticket, trial = self._draw(self._number)
                self._number += 1
            self._count += 1
            twin = self._twins.get(trial.content)
            if twin is not None and (twin["status"] == "finished" or not trial.enqueued):
                self._copy(trial, ticket, twin)
                continue
            self._running[trial_id] = (trial, ticket)
            return {"trial": trial.to_json()}
        return Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Called by Tune when a trial has ended in any way."""
        if trial_id not in self._running:
            return
        trial, ticket = self._running.pop(trial_id)
        record = self._journal.get(KIND, trial.key)
        if record is None:
            record = failed_record(trial, "its process died again and again")
            self._journal.put(KIND, trial.key, record)
        self._twins.setdefault(trial.content, record)
        self._sampler.tell(ticket, record)

    def _copy(self, trial: Trial, ticket: str | None, twin: Record) -> None:
        same = {name: twin[name] for name in ("status", "score", "scores", "metrics", "epochs", "pid", "at")}
        key = trial.key if trial.key != twin["key"] else f"{trial.key}-{trial.number}"
        record = {**trial.to_json(), **same, "key": key, "duplicate_of": twin["key"], "teacher_rows": 0, "seconds": 0.0}
        self._journal.put(KIND, key, record)
        self._sampler.tell(ticket, record)

    def save(self, checkpoint_path: str) -> None:
        """Tune's own snapshot isn't used."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        """Tune's own snapshot isn't used."""
