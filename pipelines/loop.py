"""The training loop: a job and data in, one event per epoch out.

The same loop runs in process, in a search trial (two of them side by side), and on every worker of a Ray Train run.
It keeps no global state: weights and dropout are drawn from the job's seed, rows from `order.py`. Resume from any
`LoopState` gives the same bits as an undisturbed run on the same machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from foundation.errors import ConfigError, FormatError
from foundation.fingerprint import digest
from foundation.model import PluginOptions
from pipelines.loop_state import LoopState
from pipelines.objective import Objective, needs_teachers
from pipelines.objective_config import ObjectiveConfig
from pipelines.optimizers import FlatParameters, Optimizer, learning_rate
from pipelines.order import ORDER_VERSION, Stream, rank_slice
from pipelines.randomness import seeded
from pipelines.signal_source import control
from pipelines.step import Alone, Batch, Communicator, Stepper
from pipelines.student import make_student
from pipelines.train_config import TrainConfig
from pipelines.training_data import TrainingData

__all__ = ["Alone", "Communicator", "EpochDone", "Loop", "LoopState", "TrainJob", "TrainingData", "train"]


@dataclass(frozen=True)
class TrainJob:
    """One student to train.

    Attributes:
        name: who it is in reports. seed: of its weights and of the order of rows.
        signals: the teachers themselves, or one of the controls.
        exclude: positions that are never trained on, in any row set (a held-out fold).
    """

    name: str
    seed: int
    student: PluginOptions
    objective: ObjectiveConfig
    train: TrainConfig
    signals: Literal["teachers", "shuffled", "constant"] = "teachers"
    exclude: tuple[int, ...] = ()


@dataclass(frozen=True)
class EpochDone:
    """An epoch is over.

    Attributes:
        epoch: epochs finished so far. epochs: of the whole job.
        losses: mean of each term over this epoch's rows, and `total`; NaN for a term that saw no row.
        rows: rows of the leading row set in an epoch. seconds: time of this epoch.
        student: the student as it is now; trained on if the loop goes on.
    """

    name: str
    epoch: int
    epochs: int
    losses: dict[str, float]
    rows: int
    seconds: float
    student: nn.Module = field(repr=False)
    loop: Loop = field(repr=False)

    @property
    def last(self) -> bool:
        return self.epoch >= self.epochs

    def state(self) -> LoopState:
        """A copy of the state at the end of this epoch. Ask before the loop goes on."""
        if self.loop.epoch != self.epoch:
            raise RuntimeError("The loop has gone on; ask an epoch for its state before the next one.")
        return self.loop.state()

    def to_json(self) -> dict[str, Any]:
        losses = {name: None if math.isnan(value) else value for name, value in self.losses.items()}
        facts = {"name": self.name, "epoch": self.epoch, "epochs": self.epochs, "rows": self.rows}
        return {**facts, "losses": losses, "seconds": self.seconds}


def train(
    job: TrainJob,
    data: TrainingData,
    *,
    communicator: Communicator | None = None,
    state: LoopState | None = None,
    device: str = "cpu",
) -> Iterator[EpochDone]:
    """Trains a student, yielding after each epoch; the last event's `student` is the result.

    A `state` of a finished training yields once more its last epoch (with no losses). Raises `ConfigError` for a job
    that doesn't fit the data, `DataError` for missing labels, `FormatError` for a state of another job.
    """
    loop = Loop(job, data, communicator or Alone(), state, device)
    if loop.epoch >= job.train.epochs:
        yield EpochDone(job.name, loop.epoch, job.train.epochs, {}, loop.rows, 0.0, loop.student, loop)
    while loop.epoch < job.train.epochs:
        start = perf_counter()
        losses = loop.run_epoch()
        seconds = perf_counter() - start
        yield EpochDone(job.name, loop.epoch, job.train.epochs, losses, loop.rows, seconds, loop.student, loop)


class Loop:
    """A training in progress."""

    def __init__(
        self, job: TrainJob, data: TrainingData, communicator: Communicator, state: LoopState | None, device: str
    ) -> None:
        self.job, self._communicator, self._device = job, communicator, device
        self._inputs, self._labels = data.inputs.to(device), data.labels_N.to(device)
        self._streams = _streams(job, data)
        lead = next(iter(self._streams.values()))
        self.rows, self.steps = len(lead.rows), lead.steps
        rows = {name: torch.from_numpy(stream.rows).to(device) for name, stream in self._streams.items()}
        source = data.source
        if source is not None and job.signals != "teachers":
            pool = [rows[term.rows] for term in job.objective.terms.values() if needs_teachers(term)]
            source = control(source, job.signals, pool[0], job.seed) if pool else source
        self.objective = Objective(job.objective, rows, self._labels, source)
        used = set(self.objective.row_sets.values())
        self._fed = [name for name in self._streams if name in used]
        self.student = make_student(job.student, data.spec, job.seed).to(device)
        parameters = FlatParameters(self.student)
        self._optimizer = Optimizer(job.train.optimizer, parameters.values_P)
        self._stepper = Stepper(self.student, self.objective, self._optimizer, parameters)
        self._lr = learning_rate(job.train, job.train.epochs * self.steps)
        self.epoch, self.step, self._done = 0, 0, 0
        if state is not None:
            self._restore(state)

    def run_epoch(self, stop_after: int | None = None) -> dict[str, float]:
        """Runs the (rest of the) current epoch, or only its first `stop_after` steps; returns mean losses."""
        stop = self.steps if stop_after is None else min(stop_after, self.steps)
        batches = {name: self._streams[name].epoch(self.epoch, self.steps) for name in self._fed}
        self.student.train()
        done: list[dict[str, tuple[Tensor, float]]] = []
        # Dropout is a function of where an epoch was entered, so that a run resumed there draws the same.
        with seeded(self._noise_seed(), self._device):
            for index in range(self._done, stop):
                batch = self._batch({name: batches[name][index] for name in self._fed})
                done.append(self._stepper.step(batch, self._lr(self.step), self.step + 1, self._communicator))
                self.step += 1
        self._done = stop
        if stop == self.steps:
            self.epoch, self._done = self.epoch + 1, 0
        return self._means(done)

    def state(self) -> LoopState:
        """A copy of everything needed to go on from here."""
        model = {f"model.{name}": tensor.detach().clone() for name, tensor in self.student.state_dict().items()}
        moments = {f"optimizer.{name}": tensor.clone() for name, tensor in self._optimizer.state.items()}
        lead = next(iter(self._streams.values()))
        position = min(self._done * lead.size, self.rows)
        return LoopState({**model, **moments}, ORDER_VERSION, self.job.seed, self.epoch, position, self.step)

    def _restore(self, state: LoopState) -> None:
        expected = {"order_version": ORDER_VERSION, "seed": self.job.seed}
        found = {name: value for name, value in state.scalars().items() if name in expected}
        lead = next(iter(self._streams.values()))
        self._done = state.position // max(lead.size, 1)
        if found != expected or state.step != state.epoch * self.steps + self._done:
            raise FormatError(
                "This state belongs to another training.",
                expected=f"{expected}, {self.steps} steps an epoch",
                found=state.scalars(),
                where=self.job.name,
            )
        model = {name[6:]: tensor for name, tensor in state.tensors.items() if name.startswith("model.")}
        try:
            with torch.no_grad():
                self.student.load_state_dict(model)  # copies in place: parameters stay views of the flat vector
            for name, tensor in self._optimizer.state.items():
                tensor.copy_(state.tensors[f"optimizer.{name}"])
        except (RuntimeError, KeyError) as error:
            raise FormatError("This state belongs to another student.", found=error, where=self.job.name) from error
        self.epoch, self.step = state.epoch, state.step

    def _noise_seed(self) -> int:
        text = f"noise:{self.job.seed}:{self.step}:{self._communicator.rank}"
        return int(digest(text.encode())[:15], 16)

    def _batch(self, global_positions: dict[str, np.ndarray[Any, np.dtype[np.int64]]]) -> Batch:
        rank, world = self._communicator.rank, self._communicator.world
        mine = {name: part[rank_slice(len(part), rank, world)] for name, part in global_positions.items()}
        lengths = {name: len(part) for name, part in mine.items()}
        joined = torch.from_numpy(np.concatenate(list(mine.values()))).to(self._device)
        sizes = list(lengths.values())
        positions = dict(zip(mine, torch.split_with_sizes(joined, sizes), strict=True))
        labels = dict(zip(mine, torch.split_with_sizes(self._labels.index_select(0, joined), sizes), strict=True))
        inputs = self._inputs.index_select(0, joined)
        return Batch(inputs, lengths, positions, labels, {name: len(part) for name, part in global_positions.items()})

    def _means(self, done: list[dict[str, tuple[Tensor, float]]]) -> dict[str, float]:
        if not done:
            return {}
        names = list(done[0])
        totals_T = torch.stack([torch.stack([step[name][0] for step in done]).sum() for name in names]).double()
        if self._communicator.world > 1:
            self._communicator.sum_(totals_T)
        counts = [sum(step[name][1] for step in done) for name in names]
        means = [total / count if count else math.nan for total, count in zip(totals_T.tolist(), counts, strict=True)]
        losses = dict(zip(names, means, strict=True))
        losses["total"] = sum(self.objective.shares[n] * v for n, v in losses.items() if not math.isnan(v))
        return losses


def _streams(job: TrainJob, data: TrainingData) -> dict[str, Stream]:
    """One stream per row set that a term names, in the order of the terms; the first is the leading one."""
    held_out = np.asarray(sorted(job.exclude), dtype=np.int64)
    streams: dict[str, Stream] = {}
    for name, term in job.objective.terms.items():
        if term.rows in streams:
            continue
        if term.rows not in data.splits or term.rows not in job.train.batch:
            known = data.splits if term.rows not in data.splits else job.train.batch
            raise ConfigError(
                "A term's row set doesn't exist, or train.batch doesn't say how many of its rows a step takes.",
                expected=f"one of: {', '.join(known)}",
                found=term.rows,
                where=f"objective.terms.{name}.rows",
            )
        rows = data.splits[term.rows].cpu().numpy().astype(np.int64)
        rows = rows[~np.isin(rows, held_out)] if len(held_out) else rows
        streams[term.rows] = Stream(term.rows, rows, job.train.batch[term.rows], job.seed, leading=not streams)
    lead = next(iter(streams.values()))
    if not len(lead.rows):
        raise ConfigError("The first term has no rows to learn from.", found=lead.name, where="objective.terms")
    return streams
