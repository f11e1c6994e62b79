"""The shards of one entry: written from columns, read as columns, never trusted before they are verified.

Verified means, in this order: the file's blake3 digest is its name; the bytes around the columns are the ones
`arrow_frame` writes; the row keys are the ones the manifest lists; the values are ones the codec writes.
"""

from __future__ import annotations

import numpy as np

from foundation.errors import CorruptionError, FormatError
from foundation.fingerprint import digest
from teachers.cache import layout
from teachers.cache.arrow_frame import assemble, frame, rows_in, views
from teachers.cache.codec import Codec
from teachers.cache.store import Blob, Store
from teachers.cache.verified import Verified
from teachers.row_keys import RowKeys, to_bytes

Columns = dict[str, np.ndarray]


class Shelf:
    """Reads and writes shards of one entry; picklable."""

    def __init__(self, store: Store, entry: str, codec: Codec, num_classes: int, verified: Verified) -> None:
        self._store = store
        self._entry = entry
        self._verified = verified
        self.codec = codec
        self.schema = codec.schema(num_classes)

    def put(self, keys_N: RowKeys, logits_NC: np.ndarray) -> tuple[str, int]:
        """Writes a shard and returns (digest, bytes). A file in its place that isn't it is moved to quarantine."""
        data = assemble(self.schema, {"row_key": keys_N, **self.codec.encode(logits_NC)})
        shard = digest(data)
        name = layout.data_name(self._entry, shard)
        while not self._store.put_if_absent(name, data):
            there = self._store.fetch(name)
            if there is not None and digest(there.data) == shard:
                break
            self._store.move(name, layout.quarantine_name(self._entry, name))
        return shard, len(data)

    def open(
        self,
        shard: str,
        keys_N: RowKeys | None = None,
        *,
        rows: int | None = None,
        mapped: bool = True,
        trust: bool = True,
    ) -> Columns:
        """Returns the columns of a shard, verified.

        Args:
            shard: its digest.
            keys_N: the row keys it must hold, where they are known.
            rows: the number of rows it must hold, where it is known.
            mapped: views into the mapped file; else views into a copy in memory, which no later change can reach.
            trust: whether an earlier verification on this host counts.

        Raises:
            CorruptionError: the file is gone, or isn't what was committed; names the shard and both digests.
            FormatError: the bytes are the committed ones, but no codec of this version writes such a shard.
        """
        name = layout.data_name(self._entry, shard)
        blob = self._store.open_map(name) if mapped else self._store.fetch(name)
        if blob is None:
            raise self._damage(shard, "A committed shard is gone.", "no file")
        known = trust and self._verified.knows(name, blob.stat)
        if not known and (found := digest(blob.data)) != shard:
            raise self._damage(shard, "A shard's bytes are not the ones that were committed.", f"blake3 {found}")
        try:
            columns = self._framed(shard, blob, rows)
        except FormatError:
            if (found := digest(blob.data)) != shard:  # it was trusted
                raise self._damage(shard, "A shard has changed since it was verified.", f"blake3 {found}") from None
            raise
        if keys_N is not None and to_bytes(columns["row_key"]) != to_bytes(keys_N):
            raise self._damage(shard, "A shard holds other rows than its record says.", "other row keys")
        if not known:
            if not self.codec.sound(columns):
                raise FormatError("A shard holds values that its codec never writes.", where=self._where(shard))
            self._verified.remember(name, blob.stat)
        return columns

    def remembered(self, shard: str, size: int) -> bool:
        """True when the file is there with its size, and this host has verified it before."""
        stat = self._store.stat(name := layout.data_name(self._entry, shard))
        return stat is not None and stat.size == size and self._verified.knows(name, stat)

    def size(self, shard: str) -> int | None:
        stat = self._store.stat(layout.data_name(self._entry, shard))
        return None if stat is None else stat.size

    def _framed(self, shard: str, blob: Blob, rows: int | None) -> Columns:
        rows = rows_in(self.schema, blob.data) if rows is None else rows
        around = frame(self.schema, rows)
        first, last = blob.data[: len(around.header)], blob.data[len(blob.data) - len(around.trailer) :]
        if len(blob.data) != around.size:
            found = f"{len(blob.data)} bytes"
            raise FormatError(
                "A shard has another size than its codec writes.",
                expected=f"{around.size} bytes",
                found=found,
                where=self._where(shard),
            )
        if first != around.header or last != around.trailer:
            raise FormatError(
                "The bytes around a shard's columns are not the ones its codec writes.",
                expected=f"blake3 {digest(around.header + around.trailer)}",
                found=f"blake3 {digest(bytes(first) + bytes(last))}",
                where=self._where(shard),
            )
        return views(self.schema, rows, blob.data)

    def _damage(self, shard: str, summary: str, found: str) -> CorruptionError:
        return CorruptionError(
            summary,
            expected=f"blake3 {shard}",
            found=found,
            where=self._where(shard),
            next_step="run the same command again: the shard is set aside and only its rows are labelled anew",
        )

    def _where(self, shard: str) -> str:
        return f"{self._store.location}/{layout.data_name(self._entry, shard)}"
