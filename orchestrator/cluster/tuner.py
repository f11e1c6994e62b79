"""Ray Tune: runs the search's trials side by side and goes on where an earlier attempt stopped.

Tune only moves trials about. What to try is `sampler.py`'s business, when to give up on one `halving.py`'s, what a
trial is and leaves behind `trials.py`'s. Resuming rests on the journal alone (`Tuner.restore` would run finished
trials again): a finished trial is recorded by its own process before Tune hears the result, a stopped one by the
driver before it says so to Tune; recorded trials are told to the sampler and count, and are never trained again.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from foundation.errors import ClusterError
from foundation.events import Event
from orchestrator.cluster.events import TrialDone
from orchestrator.cluster.feasible import check_feasible
from orchestrator.cluster.halving import Halving
from orchestrator.cluster.sampler import Sampler, point_of, settings_of
from orchestrator.cluster.session import FIT_THREADS, Session
from orchestrator.cluster.trials import KIND, SearchSpec, Trial, in_order, make_trial, template_of
from orchestrator.cluster.tune_parts import RungScheduler, TrialSource, trainable
from orchestrator.cluster.worker import WorkerSpec
from orchestrator.config.sections import SearchConfig
from orchestrator.journal import Journal, Record
from pipelines.config_path import with_settings
from pipelines.space import Space

_POLL_S = 0.2


@dataclass(frozen=True)
class Enqueued:
    """A setting that is tried first and at full budget, whatever its score on the way.

    `tell`: whether the sampler learns from it. Many tries in one corner of the space would keep it there.
    """

    name: str
    settings: Mapping[str, Any]
    tell: bool = True


@dataclass(frozen=True)
class SearchOutcome:
    """All records in the order of suggestion, and the best finished one (None if none finished)."""

    trials: tuple[Record, ...]
    best: Record | None
    dimensions: int


def search(
    session: Session,
    config: SearchConfig,
    tree: Mapping[str, Any],
    enqueued: Sequence[Enqueued],
    spec: WorkerSpec,
    *,
    journal: Journal,
    run_dir: Path,
    on_event: Callable[[Event], None] = lambda event: None,
) -> SearchOutcome:
    """Runs the search until `config.trials` trials (at least the enqueued ones) are on record.

    Args:
        tree: the resolved configuration as plain JSON values; trials change its student, objective and train parts.
        on_event: hears a `TrialDone` for every trial, also for those on record already.

    Raises `ConfigError` for a space or setting that doesn't fit the configuration; `ClusterError` when no trial could
    be finished or Tune failed.
    """
    template = template_of(tree)
    space = Space(config.space, list(tree["teachers"]))
    space.check(template)
    rule = config.halving
    halving = Halving(config.epochs, rule.grace_epochs, rule.reduction) if rule else Halving(config.epochs, None)
    records = journal.all(KIND)
    total = max(config.trials, len(enqueued))
    for record in in_order(records):
        on_event(_done(record, reused=True))
        if not record.get("duplicate_of"):
            halving.remember(record["key"], record["scores"])
    if len(records) < total:
        source = _source(journal, records, total, space, template, enqueued, config.seed)
        told = search_spec(config, template, spec, run_dir, halving.rungs, session.config.address is None)
        scheduler = RungScheduler(halving, journal, config.epochs)
        _run(session, told, source, scheduler, config.concurrent, total - len(records), on_event)
    return _outcome(journal, len(space.scalars))


def search_spec(
    config: SearchConfig,
    template: Mapping[str, Any],
    spec: WorkerSpec,
    run_dir: Path,
    rungs: Sequence[int] = (),
    same_machine: bool = True,
) -> SearchSpec:
    """Returns what a trial's process is told."""
    return SearchSpec(
        worker=spec,
        template=json.dumps(template),
        score=config.score.model_dump_json(),
        epochs=config.epochs,
        folds=config.folds,
        repeats=config.repeats,
        seed=config.seed,
        rungs=tuple(rungs),
        run_dir=str(run_dir.resolve()),
        same_machine=same_machine,
    )


def _source(
    journal: Journal,
    records: Mapping[str, Record],
    total: int,
    space: Space,
    template: Mapping[str, Any],
    enqueued: Sequence[Enqueued],
    seed: int,
) -> TrialSource:
    """What is still to be tried: enqueued settings that aren't on record, then points of a sampler that knows all."""
    told = sum(one.tell for one in enqueued)
    # A quarter of the sampler's own points explores. Another seed in each attempt, or it would repeat itself.
    sampler = Sampler(space, seed + 7919 * len(records), told + (total - len(enqueued)) // 4)
    for record in in_order(records):
        sampler.tell(None, record)
    first = []
    for index, one in enumerate(enqueued):
        params = point_of(space, with_settings(template, one.settings)) if one.tell else None
        first.append(make_trial(template, index, one.name, params, one.settings))
    waiting = deque(trial for trial in first if trial.key not in records)

    def draw(number: int) -> tuple[str, Trial]:
        ticket, params = sampler.ask()
        return ticket, make_trial(template, number, "", params, settings_of(space, template, params))

    number = 1 + max([len(enqueued) - 1, *(int(record["number"]) for record in records.values())])
    return TrialSource(journal, sampler, waiting, draw, records, total, number)


def _run(
    session: Session,
    spec: SearchSpec,
    source: TrialSource,
    scheduler: RungScheduler,
    concurrent: int,
    count: int,
    on_event: Callable[[Event], None],
) -> None:
    session.ready()
    for event in check_feasible(session, {"a trial": {"CPU": 1.0}}):
        on_event(event)
    place = Path(spec.run_dir) / "tune"
    fit = _Fit(spec, source, scheduler, concurrent, count, place)
    journal, seen = Journal(Path(spec.run_dir)), set(source.on_record)
    while True:
        session.pulse()
        running = fit.thread.is_alive()
        for key in journal.keys(KIND):
            if key not in seen and (record := journal.get(KIND, key)) is not None:
                seen.add(key)
                on_event(_done(record, reused=False))
        if not running:
            break
        time.sleep(_POLL_S)
    shutil.rmtree(place, ignore_errors=True)  # everything that matters is in the journal
    if fit.error is not None:
        raise ClusterError(
            "The search failed on the cluster.",
            found=f"{type(fit.error).__name__}: {fit.error}".splitlines()[0][:300],
            next_step="run the same command again: trials on record are kept",
        ) from fit.error


class _Fit:
    """`Tuner.fit` in a thread of its own, because it has no time limit."""

    def __init__(
        self, spec: SearchSpec, source: TrialSource, scheduler: RungScheduler, concurrent: int, count: int, place: Path
    ) -> None:
        self.error: BaseException | None = None
        arguments = (spec, source, scheduler, concurrent, count, place)
        self.thread = threading.Thread(target=self._run, args=arguments, daemon=True, name=FIT_THREADS[1])
        self.thread.start()

    def _run(
        self, spec: SearchSpec, source: TrialSource, scheduler: RungScheduler, concurrent: int, count: int, place: Path
    ) -> None:
        try:
            from ray import tune

            tuner = tune.Tuner(
                tune.with_resources(trainable(spec), {"cpu": 1}),
                tune_config=tune.TuneConfig(
                    metric="score",
                    mode="max",
                    search_alg=source,
                    scheduler=scheduler,
                    num_samples=count,
                    max_concurrent_trials=concurrent,
                    reuse_actors=True,
                ),
                run_config=tune.RunConfig(
                    name=f"search-{uuid4().hex[:12]}",
                    storage_path=str(place),
                    verbose=0,
                    failure_config=tune.FailureConfig(max_failures=3),
                ),
            )
            tuner.fit()
        except BaseException as error:
            self.error = error


def _outcome(journal: Journal, dimensions: int) -> SearchOutcome:
    trials = in_order(journal.all(KIND))
    finished = [record for record in trials if record["status"] == "finished"]
    if trials and not finished:
        reason = next((record["error"] for record in trials if record.get("error")), "no score was finite")
        raise ClusterError(
            "No trial of the search could be finished.",
            found=reason,
            where=f"{len(trials)} trials",
            next_step="`raydistill check` the configuration; a trial is an ordinary training",
        )
    best = max(finished, key=lambda record: (record["score"], -record["number"]), default=None)
    return SearchOutcome(tuple(trials), best, dimensions)


def _done(record: Record, reused: bool) -> TrialDone:
    return TrialDone(record["key"], record["name"], record["status"], record["score"], record["epochs"], reused)
