"""A teacher's actors as the driver sees them: what they are for, how one is started, how one's death reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import ray
from ray import exceptions as ray_errors

from foundation.errors import TeacherError
from orchestrator.cluster.actor import LabelActor
from orchestrator.cluster.config import PoolConfig
from orchestrator.cluster.worker import WorkerSpec
from teachers.cache.entry import Entry
from teachers.prepare import Prepared
from teachers.units import Unit


@dataclass(frozen=True)
class PoolTask:
    """One teacher's labelling: its pool, its cache entry, its units, and what `prepare` heard it say."""

    teacher: str
    pool: PoolConfig
    entry: Entry
    units: tuple[Unit, ...]
    prepared: Prepared | None = None


@dataclass
class Hosted:
    """A Ray actor of ours; `pid` is known once it is ready."""

    task: PoolTask
    handle: Any
    pid: int = 0
    waiting: dict[Any, Unit | None] = field(default_factory=dict)  # object ref -> unit, None for `open`


def start_actor(task: PoolTask, number: int, spec: WorkerSpec, *, same_machine: bool) -> Hosted:
    """Starts an actor and has it open its teacher; waits for neither."""
    options = ray.remote(
        LabelActor
    ).options(
        num_cpus=task.pool.num_cpus,
        num_gpus=task.pool.num_gpus,
        resources=dict(task.pool.resources),
        max_restarts=0,  # we start anew ourselves: deaths have to be counted
        max_task_retries=0,
        name=f"{task.teacher}-{spec.run}-{number}-{uuid4().hex[:6]}",
    )
    handle: Any = options.remote()
    device = "cuda" if task.pool.num_gpus > 0 else "cpu"
    opening = handle.open.remote(spec, task.teacher, task.pool.batch_size, task.prepared, device, same_machine)
    return Hosted(task, handle, waiting={opening: None})


def why_it_died(error: ray_errors.RayActorError) -> str:
    """Returns the one sentence of Ray's report that says most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "exit" in line.lower() or "died" in line.lower()]
    line = told[-1] if told else lines[-1] if lines else type(error).__name__
    return line.rpartition("Worker exit detail: ")[2].partition(" Some common causes")[0][:200]


def given_up(teacher: str, reason: str, left: int) -> TeacherError:
    """Returns the error of a pool that has lost patience with `left` units undone."""
    return TeacherError(
        "A teacher was given up: it fails again and again.",
        found=reason,
        where=f"teachers.{teacher}, {left} units left",
        next_step="mend or remove it, then run the same command again: finished labels are kept",
    )
