"""What a training needs of the data, as tensors: inputs, labels, row sets, groups; and the source of signals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from foundation.errors import ConfigError, DataError
from pipelines.student import StudentSpec
from pipelines.teacher_logits import SignalSource

Array = np.ndarray[Any, np.dtype[Any]]


class DatasetLike(Protocol):
    """The part of `pipelines.data.dataset.Dataset` that training reads."""

    @property
    def inputs(self) -> Mapping[str, Array]: ...
    @property
    def labels_N(self) -> Array: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def side(self) -> Mapping[str, Array]: ...

    def positions(self, split: str) -> Array: ...


@dataclass(frozen=True)
class TrainingData:
    """Tensors by position in the data.

    Attributes:
        inputs: float32 [N, ...], what the student sees.
        labels_N: int64 class indexes, -1 where there is no label.
        splits: row set name -> positions, int64 [M].
        classes: class names.
        source: teacher signals, or None.
        groups: side column -> group index by position, int64 [N], for metrics over groups.
    """

    inputs: Tensor
    labels_N: Tensor
    splits: Mapping[str, Tensor]
    classes: tuple[str, ...]
    source: SignalSource | None = None
    groups: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def spec(self) -> StudentSpec:
        return StudentSpec(tuple(self.inputs.shape[1:]), self.classes)

    @classmethod
    def of(
        cls,
        dataset: DatasetLike,
        row_sets: Iterable[str],
        source: SignalSource | None = None,
        *,
        groups: Iterable[str] = (),
        device: str = "cpu",
    ) -> TrainingData:
        """Turns a `Dataset` into tensors: only the named row sets and group columns.

        Raises `DataError` for inputs that aren't numbers, `ConfigError` for a group column that isn't there.
        """
        splits = {name: torch.as_tensor(dataset.positions(name), dtype=torch.int64).to(device) for name in row_sets}
        indexed = {}
        for name in groups:
            if name not in dataset.side:
                found = ", ".join(dataset.side) or "none"
                raise ConfigError(
                    "A group column isn't among data.side.", expected=name, found=found, where="data.side"
                )
            _, codes = np.unique(np.asarray(dataset.side[name]).astype(str), return_inverse=True)
            indexed[name] = torch.as_tensor(codes.reshape(-1), dtype=torch.int64)
        labels_N = torch.as_tensor(np.asarray(dataset.labels_N), dtype=torch.int64).to(device)
        return cls(input_tensor(dataset.inputs).to(device), labels_N, splits, tuple(dataset.classes), source, indexed)


def input_tensor(inputs: Mapping[str, Array]) -> Tensor:
    """Returns the student's inputs as float32: one column keeps its shape, several are flattened and joined by name.

    Raises `DataError` for columns that aren't numbers.
    """
    columns = []
    for name in sorted(inputs):
        column = np.asarray(inputs[name])
        if column.dtype.kind not in "biuf":
            raise DataError(
                "This student takes numbers only.",
                expected="a numeric column",
                found=column.dtype,
                where=f"input {name}",
            )
        columns.append(torch.from_numpy(np.array(column, dtype=np.float32)))
    if len(columns) == 1:
        return columns[0] if columns[0].ndim > 1 else columns[0].unsqueeze(1)
    return torch.cat([column.reshape(len(column), -1) for column in columns], dim=1)
