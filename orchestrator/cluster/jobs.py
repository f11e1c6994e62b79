"""Training jobs on their way to workers: as JSON text, because option models of guests can't be unpickled there before
the guests are installed; and the identity of a job, by which a finished student is known again."""

from __future__ import annotations

import json
from typing import Any

from foundation import registry
from foundation.fingerprint import fingerprint
from orchestrator.cluster.worker import WorkerSpec
from pipelines.loop import TrainJob
from pipelines.objective_config import ObjectiveConfig
from pipelines.train_config import TrainConfig

_UNDECISIVE = ("workers", "checkpoint_every")


def pack_job(job: TrainJob) -> str:
    """Returns the job as JSON text."""
    return json.dumps(_tree(job), sort_keys=True)


def unpack_job(text: str) -> TrainJob:
    """Inverse of `pack_job`, in a process where the guests are installed."""
    tree = json.loads(text)
    student = registry.load("student", tree["student"]["kind"]).Options.model_validate(tree["student"])
    return TrainJob(
        name=tree["name"],
        seed=tree["seed"],
        student=student,
        objective=ObjectiveConfig.model_validate(tree["objective"]),
        train=TrainConfig.model_validate(tree["train"]),
        signals=tree["signals"],
        exclude=tuple(tree["exclude"]),
    )


def job_fingerprint(job: TrainJob, spec: WorkerSpec) -> str:
    """64 hex digits over all that decides the student: the job, the data section, the cache entries."""
    tree = _tree(job)
    tree["train"] = {name: value for name, value in tree["train"].items() if name not in _UNDECISIVE}
    entries = {name: key.id for name, key in spec.entry_keys().items()}
    guests = sorted([guest.kind, guest.name, guest.digest] for guest in spec.guests)
    return fingerprint({"job": tree, "data": spec.section("data"), "entries": entries, "guests": guests})


def row_sets_of(jobs: list[TrainJob]) -> tuple[str, ...]:
    """Names of all row sets that the jobs' terms use."""
    return tuple(sorted({term.rows for job in jobs for term in job.objective.terms.values()}))


def _tree(job: TrainJob) -> dict[str, Any]:
    fields = set(TrainConfig.model_fields)
    return {
        "name": job.name,
        "seed": job.seed,
        "student": job.student.model_dump(mode="json"),
        "objective": job.objective.model_dump(mode="json"),
        "train": {name: value for name, value in job.train.model_dump(mode="json").items() if name in fields},
        "signals": job.signals,
        "exclude": list(job.exclude),
    }
