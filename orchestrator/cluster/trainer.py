"""Ray Train: the whole roster of students in one TorchTrainer run (an empty start costs seconds, so there is one).

The run's name contains the fingerprint, because Ray continues whatever has the same name and place. `fit` blocks and
has no time limit, so it runs in a thread while the driver follows the progress file and yields events.
What a worker does is in `train_worker.py`; where finished students lie in `students.py`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from foundation.errors import ClusterError, RaydistillError
from foundation.events import Event
from orchestrator.cluster import events
from orchestrator.cluster.checkpoints import repair_snapshot
from orchestrator.cluster.feasible import check_feasible
from orchestrator.cluster.jobs import job_fingerprint, pack_job
from orchestrator.cluster.progress import ProgressReader
from orchestrator.cluster.session import FIT_THREADS, Session
from orchestrator.cluster.students import StudentStore
from orchestrator.cluster.train_worker import RosterSpec, work
from orchestrator.cluster.worker import WorkerSpec
from pipelines.loop import TrainJob

_POLL_S = 0.2
_KINDS: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (events.StudentProgress, events.StudentDone, events.CheckpointDamaged, events.TrainingResumed)
}


def train_roster(
    session: Session,
    jobs: Sequence[TrainJob],
    spec: WorkerSpec,
    *,
    run_dir: Path,
    fingerprint: str,
    workers: int = 1,
    gpus_per_worker: float = 0.0,
    max_failures: int = 3,
    checkpoint_least_s: float = 2.0,
) -> Generator[Event, None, None]:
    """Trains every job that isn't finished yet; when the iterator ends, all of them lie in `run_dir/students`.

    Args:
        fingerprint: identity of the run; another configuration gets another Ray Train run.
        workers: data-parallel workers; the result doesn't depend on their number beyond rounding.
        max_failures: times the group of workers is started anew after a worker died.
        checkpoint_least_s: seconds between two checkpoints at least, whatever `train.checkpoint_every` says.

    Raises what made training impossible (`DataError`, `ConfigError`, `InfeasibleError`), or `ClusterError`.
    """
    store = StudentStore(run_dir.resolve() / "students")
    open_jobs = []
    for job in jobs:
        if store.finished(job.name, job.seed, job_fingerprint(job, spec)):
            yield events.StudentDone(job.name, job.seed, job.train.epochs, 0.0, reused=True)
        else:
            open_jobs.append(job)
    if not open_jobs:
        return
    session.ready()
    cpus = min(1.0, session.capacity().get("CPU", 1.0) / workers)
    demand = {"CPU": cpus, **({"GPU": gpus_per_worker} if gpus_per_worker else {})}
    yield from check_feasible(session, {"training": demand})
    name = f"train-{fingerprint[:16]}"
    place = run_dir.resolve() / "train"
    place.mkdir(parents=True, exist_ok=True)
    if (damaged := repair_snapshot(place / name)) is not None:
        yield events.CheckpointDamaged(str(damaged.path), damaged.reason)
    progress = place / f"progress-{uuid4().hex[:12]}.jsonl"
    roster = RosterSpec(
        worker=spec,
        jobs=tuple(pack_job(job) for job in open_jobs),
        students=str(store.root),
        storage=str(place / name),
        progress=str(progress),
        threads=max(1, int(cpus)),
        checkpoint_least_s=checkpoint_least_s,
        same_machine=session.config.address is None,
        use_gpu=gpus_per_worker > 0,
    )
    fit = _Fit(roster, name, place, workers, demand, max_failures)
    yield from _follow(fit, ProgressReader(progress), session)
    progress.unlink(missing_ok=True)
    fit.raise_failure()
    _check_all_there(store, open_jobs, spec, place)


def _check_all_there(store: StudentStore, jobs: Sequence[TrainJob], spec: WorkerSpec, place: Path) -> None:
    for job in jobs:
        if not store.finished(job.name, job.seed, job_fingerprint(job, spec)):
            wanted = f"{job.name}, seed {job.seed}"
            raise ClusterError("Training ended without a student.", expected=wanted, where=place)


class _Fit:
    """`TorchTrainer.fit` in a thread of its own; outcome in `result` or `error`."""

    def __init__(
        self, roster: RosterSpec, name: str, place: Path, workers: int, demand: dict[str, float], max_failures: int
    ) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self._name, self._place = name, place
        arguments = (roster, workers, demand, max_failures)
        self.thread = threading.Thread(target=self._run, args=arguments, daemon=True, name=FIT_THREADS[0])
        self.thread.start()

    def _run(self, roster: RosterSpec, workers: int, demand: dict[str, float], max_failures: int) -> None:
        try:
            from ray import train as ray_train
            from ray.train.torch import TorchConfig, TorchTrainer

            entry: Any = _entry
            trainer = TorchTrainer(
                entry,
                train_loop_config={"roster": roster},
                torch_config=TorchConfig(backend="nccl" if roster.use_gpu else "gloo", timeout_s=300),
                scaling_config=ray_train.ScalingConfig(
                    num_workers=workers, use_gpu=roster.use_gpu, resources_per_worker=demand
                ),
                run_config=ray_train.RunConfig(
                    name=self._name,
                    storage_path=str(self._place),
                    failure_config=ray_train.FailureConfig(max_failures=max_failures),
                    checkpoint_config=ray_train.CheckpointConfig(num_to_keep=3),
                ),
            )
            self.result = trainer.fit()
        except BaseException as error:
            self.error = error

    def raise_failure(self) -> None:
        """Raises what a worker returned as final, or what ended the run."""
        if self.error is not None:
            failures = getattr(self.error, "worker_failures", {})
            told = next(iter(failures.values()), self.error)
            raise ClusterError(
                "Training failed on the cluster.",
                found=f"{type(told).__name__}: {told}".strip().splitlines()[0][:300],
                where=self._place / self._name,
                next_step="run the same command again: finished students are kept",
            ) from self.error
        if isinstance(returned := getattr(self.result, "return_value", None), RaydistillError):
            raise returned


def _entry(config: dict[str, Any]) -> RaydistillError | None:
    return work(config["roster"])


def _follow(fit: _Fit, reader: ProgressReader, session: Session) -> Iterator[Event]:
    while True:
        session.pulse()
        running = fit.thread.is_alive()
        for told in reader.new():
            kind = _KINDS.get(str(told.pop("event", "")))
            if kind is not None:
                with contextlib.suppress(TypeError):  # written by another version
                    yield kind(**told)
        if not running:
            return
        time.sleep(_POLL_S)
