"""train: every student of the roster over every seed, in one Ray Train run, on the same rows, for the same epochs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.cluster.students import StudentStore
from orchestrator.config.root import RunConfig
from orchestrator.observe.events import WorkEnded, WorkPlanned
from orchestrator.report.inputs import RosterStudent
from orchestrator.roster import Objective, Student, roster
from orchestrator.stages.search import Outcome
from orchestrator.stages.work import Work
from pipelines.config_path import with_settings

if TYPE_CHECKING:
    from torch import nn

    from pipelines.loop import TrainJob

BAR = "students"
LATENCY_ROWS, LATENCY_ROUNDS = 256, 20


@dataclass(frozen=True)
class Trained:
    """A trained student of one seed: who it is, the job that made it, and where it lies."""

    student: Student
    seed: int
    job: TrainJob
    store: StudentStore
    work: Work

    @property
    def name(self) -> str:
        return self.student.name

    def module(self) -> nn.Module:
        """Returns the trained module, its bytes checked."""
        from pipelines.student import make_student

        module = make_student(self.job.student, self.work.training_data.spec, self.seed)
        module.load_state_dict(self.store.load(self.name, self.seed))
        return module.eval()

    def facts(self) -> dict[str, Any]:
        return self.store.facts(self.name, self.seed) or {}


def train(work: Work, outcome: Outcome) -> list[Trained]:
    """Trains what isn't trained yet; returns every student and seed of the roster."""
    from orchestrator.cluster.trainer import train_roster

    store = StudentStore(work.folder.paths.students)
    tree = work.config.tree()
    students = roster(tree, outcome.tried, outcome.winner)
    trained = [
        Trained(one, seed, _job(one, seed, configured(tree, one)), store, work)
        for seed in work.config.compare.seeds
        for one in students
    ]
    with work.stage("train") as facts:
        work.emit(WorkPlanned(BAR, len(trained), "students"))
        events = train_roster(
            work.session,
            [one.job for one in trained],
            work.worker_spec,
            run_dir=work.folder.root,
            fingerprint=work.folder.identity,
            workers=work.config.train.workers,
        )
        with closing(events):
            for event in events:
                work.follow(event, BAR)
        work.emit(WorkEnded(BAR))
        facts["detail"] = f"{len(students)} students x {len(work.config.compare.seeds)} seeds"
    return trained


def configured(tree: dict[str, Any], student: Student) -> RunConfig:
    """Returns the run's configuration with a student's settings put in."""
    return RunConfig.model_validate(with_settings(tree, student.settings))


def _heard(weights: Mapping[str, float], teachers: tuple[str, ...]) -> tuple[str, ...]:
    """A weighting without fixed weights may listen to anybody."""
    return tuple(name for name in teachers if weights.get(name, 0.0) > 0) if weights else teachers


def describe(work: Work, trained: list[Trained]) -> list[RosterStudent]:
    """Returns the roster as the report wants it, with sizes as stored and latency as measured here."""
    first = {one.name: one for one in reversed(trained)}
    seconds = _seconds_per_row(work, next(iter(first.values())))
    tree = work.config.tree()
    objective = Objective.of(tree)
    found = []
    for name in dict.fromkeys(one.name for one in trained):
        student, facts = first[name].student, first[name].facts()
        told = objective.read(configured(tree, student).tree())
        deaf = student.kind == "labels_only"
        found.append(
            RosterStudent(
                name=name,
                kind=student.kind,
                teachers=() if deaf else _heard(told["weights"], objective.teachers),
                temperature=None if deaf else told["temperature"],
                weights={} if deaf else told["weights"],
                label_share=told["label_share"],
                validation_score=student.validation_score,
                trial=student.trial,
                parameters=int(facts["parameters"]),
                bytes=int(facts["bytes"]),
                seconds_per_row=seconds,
                reference=student.reference,
            )
        )
    return found


def _job(student: Student, seed: int, config: RunConfig) -> TrainJob:
    from pipelines.loop import TrainJob

    return TrainJob(student.name, seed, config.student, config.objective, config.train, student.signals)


def _seconds_per_row(work: Work, trained: Trained) -> float:
    """Median time of one forward pass, per row; all students of a run have one shape."""
    from statistics import median
    from time import perf_counter

    from pipelines.evaluate import predict

    module, rows = trained.module(), work.dataset.positions(work.config.compare.test)[:LATENCY_ROWS]
    times = []
    for _ in range(LATENCY_ROUNDS):
        start = perf_counter()
        predict(module, work.training_data, rows)
        times.append(perf_counter() - start)
    return median(times) / max(1, len(rows))
