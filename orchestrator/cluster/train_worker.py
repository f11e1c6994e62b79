"""What each Ray Train worker does: trains the roster's jobs one after the other, all workers in step.

Rank 0 decides (which checkpoint, which job is done already, whether it is time to report) and the others follow, so
that a difference in what they see on disk can't part them. A finished student is committed at once; a checkpoint only
bridges the time until then, so reports, which are barriers, stay rare.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foundation.errors import RaydistillError
from orchestrator.cluster.checkpoints import Damaged, Found, newest_valid, write_checkpoint
from orchestrator.cluster.jobs import job_fingerprint, row_sets_of, unpack_job
from orchestrator.cluster.progress import ProgressWriter
from orchestrator.cluster.students import StudentStore
from orchestrator.cluster.worker import WorkerSpec, enter, training_data
from pipelines.loop import Alone, Communicator, EpochDone, TrainJob, train

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class RosterSpec:
    """What a Train worker is told.

    Attributes:
        jobs: the jobs as JSON text.
        students: folder of finished students. storage: where Ray keeps this run's checkpoints.
        progress: file for events. checkpoint_least_s: seconds between reports at least.
        same_machine: False on somebody else's cluster.
    """

    worker: WorkerSpec
    jobs: tuple[str, ...]
    students: str
    storage: str
    progress: str
    threads: int
    checkpoint_least_s: float
    same_machine: bool
    use_gpu: bool


class TorchCommunicator:
    """The workers of this Ray Train run, over torch.distributed."""

    def __init__(self) -> None:
        from torch import distributed

        self._distributed = distributed
        self.rank = distributed.get_rank()
        self.world = distributed.get_world_size()

    def sum_(self, tensor: Tensor) -> None:
        """Adds up over all workers, in place."""
        self._distributed.all_reduce(tensor)


def work(spec: RosterSpec) -> RaydistillError | None:
    """Entry point of a worker. Returns an error that another try wouldn't mend; raises (and so is retried) others."""
    import torch
    from ray import train as ray_train
    from ray.train.torch import get_device

    world = ray_train.get_context().get_world_size()
    torch.set_num_threads(spec.threads)
    try:
        enter(spec.worker, same_machine=spec.same_machine)
        device = str(get_device()) if spec.use_gpu else "cpu"
        _Roster(spec, TorchCommunicator() if world > 1 else Alone(), device).run()
    except RaydistillError as error:
        return error
    return None


class _Roster:
    """One worker's walk through the jobs."""

    def __init__(self, spec: RosterSpec, communicator: Communicator, device: str) -> None:
        self._spec, self._communicator, self._device = spec, communicator, device
        self._lead = communicator.rank == 0
        self._store = StudentStore(Path(spec.students))
        self._progress = ProgressWriter(Path(spec.progress)) if self._lead else None
        self._jobs = [unpack_job(text) for text in spec.jobs]
        self._marks = [job_fingerprint(job, spec.worker) for job in self._jobs]
        self._reported = time.monotonic()
        self._number = 0

    def run(self) -> None:
        data = training_data(self._spec.worker, row_sets_of(self._jobs))
        resumed = self._resume()
        for job, mark in zip(self._jobs, self._marks, strict=True):
            if self._agree(self._store.finished(job.name, job.seed, mark) if self._lead else False):
                continue
            started = time.monotonic()
            state = resumed.state if resumed is not None and resumed.job == mark else None
            if state is not None:
                self._tell("TrainingResumed", job, epoch=state.epoch)
            for done in train(job, data, communicator=self._communicator, state=state, device=self._device):
                self._after_epoch(job, mark, done)
            if self._lead:
                facts = {"epochs": done.epoch, "losses": done.to_json()["losses"], "rows": done.rows}
                self._store.commit(job.name, job.seed, done.student, mark, facts)
            self._tell("StudentDone", job, epochs=done.epoch, seconds=time.monotonic() - started, reused=False)

    def _after_epoch(self, job: TrainJob, mark: str, done: EpochDone) -> None:
        if self._progress is not None:
            loss = done.to_json()["losses"].get("total")
            facts = {"name": job.name, "seed": job.seed, "epoch": done.epoch, "epochs": done.epochs, "loss": loss}
            self._progress.tell_often({"event": "StudentProgress", **facts})
        if done.last or done.epoch % job.train.checkpoint_every:
            return
        if self._agree(time.monotonic() - self._reported >= self._spec.checkpoint_least_s):
            self._report(mark, done)

    def _report(self, mark: str, done: EpochDone) -> None:
        from ray import train as ray_train

        self._number += 1
        metrics = {"epoch": done.epoch, "number": self._number}
        if not self._lead:
            ray_train.report(metrics)
        else:
            with tempfile.TemporaryDirectory() as folder:
                write_checkpoint(Path(folder), mark, self._number, done.state())
                ray_train.report(metrics, checkpoint=ray_train.Checkpoint.from_directory(folder))
        self._reported = time.monotonic()

    def _resume(self) -> Found | None:
        """The newest valid checkpoint, the same on all workers; damaged ones are named."""
        found = list(newest_valid(Path(self._spec.storage)))
        if self._lead:
            for item in found:
                if isinstance(item, Damaged) and self._progress is not None:
                    event = {"event": "CheckpointDamaged", "path": str(item.path), "reason": item.reason}
                    self._progress.tell(event)
        valid = next((item for item in found if isinstance(item, Found)), None)
        self._number = self._agree_number(_number_of(valid))
        if _number_of(valid) != self._number:
            raise RuntimeError("This worker doesn't see the checkpoint that rank 0 sees: is the run folder shared?")
        return valid

    def _agree(self, mine: bool) -> bool:
        return bool(self._agree_number(int(mine)))

    def _agree_number(self, mine: int) -> int:
        """Returns rank 0's number on every worker."""
        if self._communicator.world == 1:
            return mine
        import torch

        number = torch.tensor([mine if self._lead else 0], dtype=torch.int64, device=self._device)
        self._communicator.sum_(number)
        return int(number.item())

    def _tell(self, event: str, job: TrainJob, **facts: Any) -> None:
        if self._progress is not None:
            self._progress.tell({"event": event, "name": job.name, "seed": job.seed, **facts})


def _number_of(found: Found | None) -> int:
    return 0 if found is None else found.number
