"""One step: a worker's part of a global batch -> gradient over the whole batch -> parameters moved.

With several workers, each divides its sums by the counts of the *global* batch, and one sum over workers of the flat
gradient gives exactly the gradient a single worker would have. Counts are exchanged first only where rows may fall out
(missing labels); elsewhere they are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from pipelines.objective import Objective, TermSum
from pipelines.optimizers import FlatParameters, Optimizer


class Communicator(Protocol):
    """The other workers of a training."""

    @property
    def rank(self) -> int: ...
    @property
    def world(self) -> int: ...

    def sum_(self, tensor: Tensor) -> None:
        """Adds up `tensor` over all workers, in place, on each."""
        ...


@dataclass(frozen=True)
class Alone:
    """One worker."""

    rank: int = 0
    world: int = 1

    def sum_(self, tensor: Tensor) -> None:
        """Nothing to add."""


@dataclass(frozen=True)
class Batch:
    """One worker's part of a global batch.

    Attributes:
        inputs: [B, ...], the parts of all row sets one after the other, so that the student runs once.
        lengths: row set -> rows of it in `inputs`, in order.
        positions, labels: row set -> int64 [rows].
        global_lengths: row set -> rows of the global batch.
    """

    inputs: Tensor
    lengths: dict[str, int]
    positions: Mapping[str, Tensor]
    labels: Mapping[str, Tensor]
    global_lengths: Mapping[str, int]


class Stepper:
    """Student, objective and optimiser, moved one batch at a time."""

    def __init__(
        self, student: nn.Module, objective: Objective, optimizer: Optimizer, parameters: FlatParameters
    ) -> None:
        self._student, self._objective = student, objective
        self._optimizer, self._parameters = optimizer, parameters
        self._scales: dict[float, Tensor] = {}

    def step(self, batch: Batch, lr: float, count: int, communicator: Communicator) -> dict[str, tuple[Tensor, float]]:
        """Moves the parameters; returns per term this worker's sum of losses and the global number of rows."""
        logits = self._student(batch.inputs)
        parts = dict(zip(batch.lengths, torch.split_with_sizes(logits, list(batch.lengths.values())), strict=True))
        sums = self._objective.sums(parts, batch.positions, batch.labels)
        counts = self._counts(sums, batch, communicator)
        outputs, scales = [], []
        for name, term in sums.items():
            if counts[name] > 0:
                outputs.append(term.total)
                scales.append(self._scale(self._objective.shares[name] / counts[name], term.total))
        gradient_P = self._parameters.gradient(outputs, scales)
        if communicator.world > 1:
            communicator.sum_(gradient_P)
        self._optimizer.step(gradient_P, lr, count)
        return {name: (term.total.detach(), counts[name]) for name, term in sums.items()}

    def _counts(self, sums: dict[str, TermSum], batch: Batch, communicator: Communicator) -> dict[str, float]:
        known = {name: float(batch.global_lengths[self._objective.row_sets[name]]) for name in sums}
        if self._objective.always_full:
            return known
        local = [term.count for term in sums.values()]
        lengths = [batch.lengths[self._objective.row_sets[name]] for name in sums]
        device = batch.inputs.device
        counts_T = torch.stack(
            [
                torch.tensor(length, dtype=torch.float64, device=device) if count is None else count.double()
                for count, length in zip(local, lengths, strict=True)
            ]
        )
        if communicator.world > 1:
            communicator.sum_(counts_T)
        return dict(zip(sums, counts_T.tolist(), strict=True))

    def _scale(self, value: float, like: Tensor) -> Tensor:
        if value not in self._scales:
            self._scales[value] = torch.tensor(value, dtype=like.dtype, device=like.device)
        return self._scales[value]
