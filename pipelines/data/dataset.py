"""The rows of a run: inputs, labels, named row sets, and the content keys they are known by.

A position is good inside one `Dataset` only; whatever leaves it (labels, receipts, cache) goes by row key. Teachers
see a `Dataset` through the contract `teachers.rows.Rows`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np

from foundation import registry
from foundation.errors import DataError
from foundation.fingerprint import canonical_json, digest
from pipelines.data.columns import Table, input_column, nearest, require, texts
from pipelines.data.config import ALL, DataConfig
from teachers.row_keys import RowKeys, row_keys, to_bytes, to_hex
from teachers.row_keys import chunk_digests as digests_of_chunks


@dataclass(frozen=True)
class LabelledRows:
    """Rows a teacher is fitted on (contract `teachers.rows.FittingRows`): inputs [N, ...], class names [N], digest."""

    inputs: Mapping[str, np.ndarray]
    labels: np.ndarray
    digest: str


class Dataset:
    """N rows in a fixed order.

    Attributes:
        classes: class names; label c is `classes[c]`.
        inputs: input columns, float32 [N, ...] or text [N].
        labels_N: int64 [N], -1 where a row has no label.
        ids: text [N], for people: the id column, else the row number.
        side: side columns as they were read, [N, ...].
    """

    def __init__(self, config: DataConfig, table: Table) -> None:
        self._config = config
        self.classes: tuple[str, ...] = config.classes
        require(config.columns, table, "data.source")
        lengths = {name: len(table[name]) for name in config.columns}
        if len(set(lengths.values())) != 1:
            raise DataError("The columns have different lengths.", found=lengths, where="data.source")
        self._count = next(iter(lengths.values()))
        if self._count == 0:
            raise DataError("The source has no rows.", where="data.source")
        self.ids = _ids(config.id, table, self._count)
        self.inputs: dict[str, np.ndarray] = {n: input_column(n, table[n], self.ids) for n in config.inputs}
        self.side: dict[str, np.ndarray] = {name: table[name] for name in config.side}
        self.labels_N = np.full(self._count, -1, dtype=np.int64)
        if config.label:
            self.labels_N = _indices(texts(config.label, table[config.label]), self.classes, config.label, self.ids)
        self._label_texts = {n: texts(n, table[n]) for n in ([config.label] if config.label else [])}
        self._sets = self._row_sets(table)

    def __len__(self) -> int:
        return self._count

    @cached_property
    def keys(self) -> RowKeys:
        """Row keys, S16 [N]: 128 bits of content each."""
        return row_keys(self.inputs)

    @property
    def split_names(self) -> tuple[str, ...]:
        """The row sets that `positions` knows."""
        return tuple(self._sets)

    def take(self, positions: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the input columns of the rows at `positions` (int64 [B]): each [B, ...]."""
        return {name: column[positions] for name, column in self.inputs.items()}

    def positions(self, split: str) -> np.ndarray:
        """Returns int64 [M], ascending: the rows of a named row set. Raises `DataError` on unknown or empty sets."""
        if split not in self._sets:
            known = ", ".join(self._sets)
            step = nearest(split, self._sets) or "declare it under data.splits"
            raise DataError("Unknown row set.", expected=known, found=repr(split), where="data.splits", next_step=step)
        rows = self._sets[split]
        if len(rows) == 0:
            raise DataError("A row set is empty.", found=f"no row in {split!r}", where=f"data.splits.{split}")
        return rows

    def chunk_digests(self) -> list[str]:
        """Returns one digest per 65 536 rows, over their keys in order."""
        return digests_of_chunks(self.keys)

    def check_disjoint(self) -> None:
        """Raises `DataError` when two row sets that were declared disjoint share a row's content."""
        for group in self._config.disjoint:
            for first, second in combinations(group, 2):
                mine, theirs = self.positions(first), self.positions(second)
                shared = np.intersect1d(self.keys[mine], self.keys[theirs])
                if len(shared):
                    a = mine[np.flatnonzero(self.keys[mine] == shared[0])[0]]
                    b = theirs[np.flatnonzero(self.keys[theirs] == shared[0])[0]]
                    raise DataError(
                        f"Row sets {first!r} and {second!r} share content.",
                        expected="no row of one with the inputs of a row of the other",
                        found=f"{len(shared)} shared, e.g. ids {self.ids[a]} and {self.ids[b]}",
                        where="data.disjoint",
                        next_step="put equal rows into one part of the split column",
                    )

    def fitting_rows(self, split: str, label_column: str, classes: tuple[str, ...]) -> LabelledRows:
        """Returns the rows of `split` whose value in `label_column` is one of `classes`.

        They come in order of their content, so that a re-ordered file gives the same teacher. Raises `DataError` when
        the column isn't label or side column, or when a class has no row.
        """
        if label_column not in self._label_texts:
            require([label_column], self.side, "data.label and data.side")
            self._label_texts[label_column] = texts(label_column, self.side[label_column])
        labels_N = self._label_texts[label_column]
        rows = self.positions(split)
        rows = rows[np.isin(np.array([text or "" for text in labels_N[rows]], dtype=object), list(classes))]
        if absent := [name for name in classes if name not in set(labels_N[rows])]:
            raise DataError(
                "A teacher has no row to learn a class from.",
                expected=f"rows of {split!r} with {label_column} = {', '.join(absent)}",
                found=f"{len(rows)} rows of other classes",
                where=f"fit: {{rows: {split}, label: {label_column}}}",
            )
        hexes = to_hex(self.keys[rows])
        order = sorted(range(len(rows)), key=lambda i: (hexes[i], labels_N[rows[i]]))
        rows = rows[np.array(order, dtype=np.int64)]
        labels = np.array(labels_N[rows].tolist(), dtype=str)
        return LabelledRows(
            self.take(rows), labels, digest(to_bytes(self.keys[rows]) + canonical_json(labels.tolist()))
        )

    def _row_sets(self, table: Table) -> dict[str, np.ndarray]:
        values_N = texts(self._config.split.column, table[self._config.split.column]) if self._config.split else None
        sets = {ALL: np.arange(self._count, dtype=np.int64)}
        for name, rule in self._config.splits.items():
            keep = np.ones(self._count, dtype=bool)
            if rule.values is not None and values_N is not None:
                known = sorted({value for value in values_N.tolist() if value is not None})
                for value in rule.values:
                    if value not in known:
                        raise DataError(
                            "No row has this split value.",
                            expected=", ".join(known[:20]),
                            found=repr(value),
                            where=f"data.splits.{name}",
                            next_step=nearest(value, known),
                        )
                keep &= np.isin(values_N, list(rule.values))
            if rule.labelled is not None:
                keep &= (self.labels_N >= 0) == rule.labelled
            sets[name] = np.flatnonzero(keep).astype(np.int64)
        return sets


def open_dataset(config: DataConfig, base_dir: Path) -> Dataset:
    """Reads the source, checks every column, asserts `disjoint`. Raises `DataError` (exit code 4)."""
    source = registry.load("source", config.source.kind)
    dataset = Dataset(config, source.read(config.source, base_dir, config.columns))
    dataset.check_disjoint()
    return dataset


def _ids(name: str | None, table: Table, count: int) -> np.ndarray:
    if name is None:
        return np.array([str(row) for row in range(count)], dtype=object)
    ids_N = texts(name, table[name])
    seen: dict[str | None, int] = {}
    for row, value in enumerate(ids_N.tolist()):
        if value is None:
            raise DataError("A row has no id.", found=f"null in row {row}", where=f"column {name!r}")
        if value in seen:
            raise DataError(
                "Two rows have the same id.",
                expected="ids that differ",
                found=f"{value!r} in rows {seen[value]} and {row}",
                where=f"column {name!r}",
                next_step="leave out data.id (rows are known by their content anyway), or make the ids differ",
            )
        seen[value] = row
    return ids_N


def _indices(labels_N: np.ndarray, classes: tuple[str, ...], column: str, ids_N: np.ndarray) -> np.ndarray:
    index = {name: number for number, name in enumerate(classes)}
    out = np.full(len(labels_N), -1, dtype=np.int64)
    for row, value in enumerate(labels_N.tolist()):
        if value is None:
            continue
        if value not in index:
            raise DataError(
                "A label is not among the declared classes.",
                expected=", ".join(classes[:20]),
                found=f"{value!r} in row {row} (id {ids_N[row]})",
                where=f"column {column!r}",
                next_step=nearest(value, classes) or f"add {value!r} to data.classes",
            )
        out[row] = index[value]
    return out
