"""Labels of rows by key. Locate the rows of a data set once; then take batches by offset.

A cache that fits the hot budget is copied into one contiguous array per column when first used; a larger one is read
through mapped views, shard by shard. Either way each shard is verified before its first value is returned.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foundation.errors import DataError
from teachers.cache.generation import ShardRecord
from teachers.cache.row_table import RowTable, shard_keys
from teachers.cache.shelf import Shelf
from teachers.row_keys import RowKeys

HOT_BYTES = 256 << 20


class LabelReader:
    """A fixed view of one generation of an entry: what is committed later doesn't show. Picklable, without its arrays.

    Attributes:
        num_classes: columns of what `take` and `gather` return.
    """

    def __init__(
        self, shelf: Shelf, records: tuple[ShardRecord, ...], num_classes: int, *, hot_bytes: int = HOT_BYTES
    ) -> None:
        self.num_classes = num_classes
        self._shelf = shelf
        self._hot_bytes = hot_bytes
        self._table = RowTable(records, shelf)
        self._is_hot = sum(record.bytes for record in records) <= hot_bytes
        self._hot: dict[str, np.ndarray] | None = None
        self._mapped: dict[int, dict[str, np.ndarray]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._shelf, self._table.records, self.num_classes, self._hot_bytes)

    @property
    def keys(self) -> RowKeys:
        """Keys of the rows that have a label, S16 [N]."""
        return self._table.keys

    def locate(self, keys_N: RowKeys) -> np.ndarray:
        """Returns int64 [N]: global offsets for `take`, -1 where there is no label. Good for this reader only."""
        return self._table.locate(keys_N)

    def take(self, offsets_B: np.ndarray) -> np.ndarray:
        """Returns logits fp32 [B, C] at offsets from `locate`. Raises `DataError` for -1, `CorruptionError`."""
        offsets_B = np.asarray(offsets_B, np.int64)
        if offsets_B.size == 0:
            return np.empty((0, self.num_classes), np.float32)
        if offsets_B.min() < 0 or offsets_B.max() >= self._table.starts[-1]:
            raise DataError(
                "There is no label at this offset.",
                expected="offsets from locate(), without -1",
                found=int(offsets_B.min() if offsets_B.min() < 0 else offsets_B.max()),
                next_step="label the missing rows, or choose cache.missing",
            )
        columns = self._from_memory(offsets_B) if self._is_hot else self._from_maps(offsets_B)
        return self._shelf.codec.decode(columns)

    def gather(self, keys_N: RowKeys) -> tuple[np.ndarray, np.ndarray]:
        """Returns (logits fp32 [N, C], present bool [N]); rows without a label are zeros and not present."""
        offsets_N = self.locate(keys_N)
        present_N = offsets_N >= 0
        logits_NC = np.zeros((len(offsets_N), self.num_classes), np.float32)
        logits_NC[present_N] = self.take(offsets_N[present_N])
        return logits_NC, present_N

    def _from_memory(self, offsets_B: np.ndarray) -> dict[str, np.ndarray]:
        if self._hot is None:
            shards = [self._open(number, mapped=False) for number in range(len(self._table.records))]
            self._hot = {name: np.concatenate([shard[name] for shard in shards]) for name in shards[0]}
        return {name: column.take(offsets_B, axis=0) for name, column in self._hot.items()}

    def _from_maps(self, offsets_B: np.ndarray) -> dict[str, np.ndarray]:
        shard_B = np.searchsorted(self._table.starts, offsets_B, side="right") - 1
        out: dict[str, np.ndarray] = {}
        for number in np.unique(shard_B).tolist():
            if number not in self._mapped:
                self._mapped[number] = self._open(number, mapped=True)
            wanted = np.flatnonzero(shard_B == number)
            rows = offsets_B[wanted] - self._table.starts[number]
            for name, column in self._mapped[number].items():
                out.setdefault(name, np.empty((len(offsets_B), *column.shape[1:]), column.dtype))[wanted] = column[rows]
        return out

    def _open(self, number: int, *, mapped: bool) -> dict[str, np.ndarray]:
        record = self._table.records[number]
        keys = None if record.keys is None else shard_keys(record, self._shelf)
        columns = self._shelf.open(record.shard, keys, rows=record.rows, mapped=mapped)
        return {name: column for name, column in columns.items() if name != "row_key"}


def _rebuild(shelf: Shelf, records: tuple[ShardRecord, ...], num_classes: int, hot_bytes: int) -> LabelReader:
    return LabelReader(shelf, records, num_classes, hot_bytes=hot_bytes)
