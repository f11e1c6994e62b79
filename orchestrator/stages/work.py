"""What all stages of one run share: configuration, data, cache, run folder, and a cluster that starts when needed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from foundation.events import Event
from foundation.fingerprint import fingerprint
from orchestrator.cluster.worker import WorkerSpec, training_data
from orchestrator.config.load import LoadedConfig
from orchestrator.config.root import RunConfig
from orchestrator.journal import Journal
from orchestrator.observe.events import StageDone, StageStarted, WorkDone
from orchestrator.observe.observer import Observer
from orchestrator.run_folder import RunFolder, read_facts
from orchestrator.stop import StopRequest
from pipelines.data.dataset import Dataset, open_dataset
from teachers.build import card_of, context_for
from teachers.cache.cache import LabelCache
from teachers.cache.config import Missing
from teachers.cache.entry import Entry
from teachers.cache.entry_key import entry_key
from teachers.card import TeacherCard
from teachers.config import TeacherConfig
from teachers.teacher import TeacherContext

if TYPE_CHECKING:
    from orchestrator.cluster.session import Session
    from pipelines.training_data import TrainingData


@dataclass
class Work:
    """One run in progress.

    `contexts` and `cards` say who the teachers are, `entries` where their labels are kept; `timings` are seconds per
    stage of this attempt; `missing`, where set, replaces the policy `cache.missing`.
    """

    loaded: LoadedConfig
    folder: RunFolder
    dataset: Dataset
    cache: LabelCache
    observer: Observer
    stop: StopRequest
    allow_quarantine: bool
    paranoid: bool
    missing: Missing | None = None
    timings: dict[str, float] = field(default_factory=dict)
    _closing: ExitStack = field(default_factory=ExitStack)

    @property
    def config(self) -> RunConfig:
        return self.loaded.config

    @cached_property
    def journal(self) -> Journal:
        return Journal(self.folder.root)

    @cached_property
    def run_id(self) -> str:
        """Names this run folder in receipts: the same in every attempt, another one in another folder."""
        facts = read_facts(self.folder.root) or {}
        return f"{self.folder.identity[:12]}-{fingerprint({'created': facts.get('created')})[:8]}"

    @cached_property
    def contexts(self) -> dict[str, TeacherContext]:
        loaded = self.loaded
        return {
            name: context_for(name, teacher, self.dataset.classes, loaded.base_dir, self.dataset)
            for name, teacher in self.config.teachers.items()
        }

    @cached_property
    def cards(self) -> dict[str, TeacherCard]:
        return {name: card_of(name, one, self.contexts[name]) for name, one in self.config.teachers.items()}

    @cached_property
    def entries(self) -> dict[str, Entry]:
        codec = self.config.cache.codec
        return {name: self.cache.entry(entry_key(card, codec)) for name, card in self.cards.items()}

    @cached_property
    def session(self) -> Session:
        """The cluster; started by the first stage that has work for it, ended with the run."""
        from orchestrator.cluster.session import Session

        session = Session(self.config.cluster, namespace=self.run_id, interrupt=self.stop.raise_if_requested)
        self._closing.callback(session.stop)
        return session

    @property
    def worker_spec(self) -> WorkerSpec:
        """What the workers are told: sections of the configuration, entry keys, guests, the run's name."""
        config = self.config
        cache = config.cache.model_copy(update={"missing": self.missing}) if self.missing else config.cache
        keys = {name: entry.key for name, entry in self.entries.items()}
        teachers = {name: TeacherConfig(**_own_fields(teacher)) for name, teacher in config.teachers.items()}
        return WorkerSpec.of(config.data, cache, teachers, keys, base_dir=self.loaded.base_dir, run=self.run_id)

    @property
    def training_data(self) -> TrainingData:
        """The run's data as tensors, with the cached labels of all teachers."""
        config = self.config
        groups = (config.search.score.group,) if config.search and config.search.score.group else ()
        sets = {term.rows for term in config.objective.terms.values()} | {config.compare.test}
        return training_data(self.worker_spec, sorted(sets), groups)

    def warm_up(self, until: str | None, labelling: bool) -> None:
        """Starts the cluster in the background while the driver fits, if this run is going to need it."""
        if labelling or (until != "label" and self.folder.done("train") is None):
            self.session.start()

    def record_load(self, teacher: str, stage: str) -> None:
        """Notes in the journal that a teacher was loaded (or fitted) in this process."""
        record = {"teacher": teacher, "pid": os.getpid(), "run": self.run_id, "stage": stage}
        self.journal.put("loads", f"{teacher}-{uuid4().hex}", record)

    def emit(self, event: Event) -> None:
        self.observer.emit(event)

    def follow(self, event: Event, bar: str) -> None:
        """Passes an event on, moves the bar for each `...Done`, and raises `StoppedError` if the user asked to stop."""
        self.emit(event)
        if event.kind.endswith("Done"):
            self.emit(WorkDone(bar))
        self.stop.raise_if_requested()

    @contextmanager
    def stage(self, name: str, detail: str = "") -> Iterator[dict[str, Any]]:
        """Announces a stage, times it and marks it; the facts put into the yielded dict go into the mark."""
        self.stop.raise_if_requested()
        self.emit(StageStarted(name, detail))
        started, facts = time.monotonic(), dict[str, Any]()
        yield facts
        seconds = time.monotonic() - started
        self.timings[name] = self._seconds_so_far(name) + seconds
        self.folder.mark(name, {**facts, "seconds": self.timings[name]})
        self.emit(StageDone(name, seconds, str(facts.get("detail", "")), bool(facts.get("reused", False)), facts))

    def close(self) -> None:
        """Ends the cluster, if one was started."""
        self._closing.close()

    def _seconds_so_far(self, stage: str) -> float:
        # A stage that was finished before and has nothing left to do keeps the time that it really took.
        return float((self.folder.done(stage) or {}).get("seconds", 0.0))


def _own_fields(teacher: TeacherConfig) -> dict[str, Any]:
    return {name: getattr(teacher, name) for name in TeacherConfig.model_fields}


@contextmanager
def open_work(
    loaded: LoadedConfig,
    run_dir: Path | None,
    observer: Observer,
    stop: StopRequest,
    *,
    allow_quarantine: bool,
    paranoid: bool,
) -> Iterator[Work]:
    """Opens data, run folder and cache; closes whatever the run opened, whichever way it ends."""
    dataset = open_dataset(loaded.config.data, loaded.base_dir)
    dataset.check_disjoint()
    data = fingerprint({"chunks": dataset.chunk_digests()})
    with RunFolder.open(loaded, run_dir, data=data) as folder:
        observer.write_to(folder.paths.events)
        cache = LabelCache.open(loaded.config.cache, loaded.base_dir, paranoid=paranoid)
        allowed = allow_quarantine or loaded.config.label.allow_quarantine
        work = Work(loaded, folder, dataset, cache, observer, stop, allowed, paranoid)
        try:
            yield work
        finally:
            work.close()
