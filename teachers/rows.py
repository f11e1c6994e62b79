"""Contract: what labelling needs of data. Implemented by `pipelines.data`, used by teachers and their hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from teachers.row_keys import RowKeys

Inputs = Mapping[str, np.ndarray]  # input columns by name, each [B, ...]


class Rows(Protocol):
    """A fixed, ordered set of rows. `keys` identify content; positions are only good inside this object."""

    @property
    def keys(self) -> RowKeys:
        """Row keys, S16 [N]."""
        ...

    def __len__(self) -> int: ...

    def take(self, positions: np.ndarray) -> Inputs:
        """Returns the input columns of the rows at `positions` (int64 [B]): each [B, ...]."""
        ...


class FittingRows(Protocol):
    """Labelled rows a teacher is fitted on by `prepare`; never rows that are labelled or tested."""

    @property
    def inputs(self) -> Inputs:
        """Input columns, each [N, ...]."""
        ...

    @property
    def labels(self) -> np.ndarray:
        """Class names, text [N]; every one is among the teacher's classes."""
        ...

    @property
    def digest(self) -> str:
        """blake3 over row keys and labels, in order."""
        ...
