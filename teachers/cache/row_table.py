"""All rows of an entry's committed shards, one after the other, and which of them is the visible one of its key.

A global offset counts rows through the shards in the order they were committed, hidden rows included.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from teachers.cache.generation import ShardRecord
from teachers.cache.key_index import KeyIndex
from teachers.cache.shelf import Shelf
from teachers.row_keys import KEY_DTYPE, RowKeys, from_hex


class RowTable:
    """Row keys of shards by global offset.

    Attributes:
        records: the shards.
        starts: int64 [S + 1], global offset of each shard's first row; the last one is the number of rows.
        keys: visible row keys, S16 [N].
        offsets: int64 [N], global offset of each visible key.
    """

    def __init__(self, records: Iterable[ShardRecord], shelf: Shelf) -> None:
        self.records = tuple(records)
        counts = [record.rows for record in self.records]
        self.starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
        parts = [shard_keys(record, shelf) for record in self.records]
        keys_P = np.concatenate(parts) if parts else np.empty(0, KEY_DTYPE)
        visible_P = np.ones(len(keys_P), bool)
        for record, start in zip(self.records, self.starts, strict=False):
            visible_P[start + np.asarray(record.hidden, np.int64)] = False
        self.offsets = np.flatnonzero(visible_P)
        self.keys: RowKeys = keys_P[self.offsets]
        self._index = KeyIndex(self.keys)
        # Only a damaged generation can let a key be visible twice; the first one committed answers for it.
        first_N = self._index.first_of_its_kind()
        if not first_N.all():
            self.offsets, self.keys = self.offsets[first_N], self.keys[first_N]
            self._index = KeyIndex(self.keys)

    def locate(self, keys_M: RowKeys) -> np.ndarray:
        """Returns int64 [M]: the global offset of each key's visible row, or -1."""
        found_M = self._index.locate(keys_M)
        if len(self.offsets) == 0:
            return found_M
        return np.where(found_M >= 0, self.offsets[found_M], -1)


def shard_keys(record: ShardRecord, shelf: Shelf) -> RowKeys:
    """Returns the row keys of a shard, from its record or, for large shards, from the verified shard itself."""
    if record.keys is not None:
        return from_hex([record.keys])
    return shelf.open(record.shard, rows=record.rows)["row_key"]
