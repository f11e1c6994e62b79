"""One entry: everything one teacher has said, in one form. Workers write, the driver publishes, training reads.

A unit's way: shard (put if absent) -> receipt (put if absent) -> place in a generation. Only then is it visible. What
a crash leaves behind on that way is adopted by `recover`; what a disk damages is found by `audit` (see
`recovery.py`). A row is visible exactly once: the first committed answer stays, later ones are hidden.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from foundation.errors import DataError, TeacherError
from foundation.model import PluginOptions
from teachers.cache import layout, recovery
from teachers.cache.additions import additions
from teachers.cache.codec import Codec
from teachers.cache.crash import crash_point
from teachers.cache.entry_key import EntryKey, entry_key
from teachers.cache.entry_record import put_key
from teachers.cache.generation import State
from teachers.cache.ledger import Ledger
from teachers.cache.reader import LabelReader
from teachers.cache.receipts import get_receipt, put_receipt
from teachers.cache.recovery import Damage
from teachers.cache.row_table import RowTable
from teachers.cache.shelf import Shelf
from teachers.cache.store import Store
from teachers.cache.verified import Verified
from teachers.row_keys import RowKeys, from_hex
from teachers.units import Receipt, Unit

__all__ = ["Committed", "Damage", "Entry", "EntryKey", "entry_key"]


@dataclass(frozen=True)
class Committed:
    """What is visible at one generation.

    Attributes:
        generation: its number; 0 = nothing yet.
        keys: row keys with a label, S16 [N].
        quarantined: row key (hex) -> reason, of rows without a label that were set aside.
        covers: digests of data chunks (`row_keys.chunk_digests`) whose rows all have labels.
        shards, bytes, rows: how many there are; bytes on disk, visible rows.
        damaged: generations that had to be skipped, in words; their rows come back through `recover`.
    """

    generation: int
    keys: RowKeys
    quarantined: dict[str, str]
    covers: frozenset[str]
    shards: int
    bytes: int
    rows: int
    damaged: tuple[str, ...] = ()


class Entry:
    """See the module. Picklable; opening one reads nothing."""

    def __init__(self, store: Store, key: EntryKey, *, paranoid: bool = False) -> None:
        self.key = key
        self.id = key.id
        self.codec_options: PluginOptions = Codec.from_dict(key.output["codec"]).options
        self.store = store
        self.ledger = Ledger(store, self.id)
        verified = Verified(store, paranoid=paranoid)
        self.shelf = Shelf(store, self.id, Codec(self.codec_options), key.num_classes, verified)
        self._written = False
        self._table: tuple[int, RowTable] | None = None

    def committed(self) -> Committed:
        """Returns what is visible now. Large shards give their own keys: audit first."""
        state = self.ledger.state()
        table = self.table(state)
        labelled = table.locate(from_hex(list(state.quarantined))) >= 0
        aside = zip(state.quarantined.items(), labelled.tolist(), strict=True)
        quarantined = {hex_key: reason for (hex_key, reason), done in aside if not done}
        return Committed(
            generation=state.generation,
            keys=table.keys,
            quarantined=quarantined,
            covers=state.covers,
            shards=len(state.shards),
            bytes=sum(record.bytes for record in state.shards.values()),
            rows=len(table.keys),
            damaged=state.damaged,
        )

    def write(
        self,
        unit: Unit,
        logits_BC: np.ndarray,
        keys: tuple[str, ...],
        *,
        quarantined: Iterable[tuple[str, str]] = (),
        nonfinite: int = 0,
        attempt: int = 1,
        run: str = "",
        stage: str = "label",
        seconds: float = 0.0,
        batch_size: int = 0,
    ) -> Receipt:
        """Stores a unit's labels durably and returns the receipt; they become visible when the driver publishes it.

        Args:
            unit: what was asked for; its keys are those of `keys` and `quarantined` together.
            logits_BC: logits of the labelled rows; every value must be representable in the codec.
            keys: their row keys, hex.
            quarantined: (row key in hex, reason) of the unit's other rows.

        Raises:
            TeacherError: a value is not finite or doesn't fit the codec: the host's policy has to come first.
            DataError: keys and labels don't fit each other or the unit.
            StorageFullError, StorageError: nothing was acknowledged; the same call may be made again.
        """
        crash_point("write.start")
        aside = tuple((str(hex_key), str(reason)) for hex_key, reason in quarantined)
        self._check_unit(unit, keys, aside)
        logits_BC = self._check_logits(logits_BC, keys)
        self._ensure_entry()
        shard, size = self.shelf.put(from_hex(keys), logits_BC) if keys else ("", 0)
        crash_point("write.shard_stored")
        receipt = Receipt(
            unit.id, self.id, shard, size, keys, aside, nonfinite, attempt, run, stage, seconds, batch_size
        )
        receipt = put_receipt(self.store, receipt)
        crash_point("write.receipt_stored")
        return receipt

    def publish(self, receipts: Iterable[Receipt], *, covers: Iterable[str] = (), run: str = "") -> int:
        """Makes the receipts' rows visible and returns the generation that shows them.

        Idempotent; nothing new writes nothing. Rows that are visible already stay what they are. `covers` claims
        chunks whose rows are all labelled; the claim is void when rows were removed since this process last looked.
        """
        receipts, covers = tuple(receipts), tuple(covers)
        seen = self.ledger.seen
        if receipts or covers:
            self._ensure_entry()
        return self.ledger.commit(lambda state: additions(self, state, receipts, covers, seen), run=run).generation

    def recover(self) -> list[Receipt]:
        """Returns verified receipts, ready to publish, of rows that were stored but are not visible."""
        return recovery.recover(self)

    def receipts(self) -> list[Receipt]:
        """Returns all receipts, for counters. Raises `CorruptionError` for a damaged one: audit first."""
        found = [get_receipt(self.store, self.id, stem) for stem in layout.receipts_in(self.store, self.id)]
        told = {receipt.shard for receipt in found if not receipt.extra.get("recovered")}
        return [receipt for receipt in found if not (receipt.extra.get("recovered") and receipt.shard in told)]

    def reader(self) -> LabelReader:
        """Returns a reader of what is visible now."""
        return LabelReader(self.shelf, tuple(self.ledger.state().shards.values()), self.key.num_classes)

    def audit(self, *, paranoid: bool = False) -> list[Damage]:
        """Returns everything that isn't what was committed. Hashes what this host hasn't verified; `paranoid`: all."""
        return recovery.audit(self, paranoid=paranoid)

    def set_aside(self, damage: Damage) -> int:
        """Moves a damaged object to quarantine and publishes a generation without it; returns the rows now missing."""
        return recovery.set_aside(self, damage)

    def table(self, state: State) -> RowTable:
        """The rows of a state; kept until the generation changes."""
        if self._table is None or self._table[0] != state.generation:
            self._table = (state.generation, RowTable(state.shards.values(), self.shelf))
        return self._table[1]

    def _check_unit(self, unit: Unit, keys: tuple[str, ...], aside: tuple[tuple[str, str], ...]) -> None:
        if unit.entry != self.id:
            raise DataError("A unit belongs to another entry.", expected=self.id, found=unit.entry)
        told = [*keys, *(hex_key for hex_key, _ in aside)]
        if len(told) != len(set(told)) or set(told) != set(unit.keys):
            raise DataError(
                "The rows written are not the rows of the unit.",
                expected=f"{len(unit.keys)} different rows",
                found=f"{len(set(told) & set(unit.keys))} of them and {len(set(told) - set(unit.keys))} others",
                where=f"unit {unit.id}",
            )

    def _check_logits(self, logits_BC: np.ndarray, keys: tuple[str, ...]) -> np.ndarray:
        logits_BC = np.asarray(logits_BC, np.float32)
        if logits_BC.shape != (len(keys), self.key.num_classes):
            raise DataError(
                "Labels have the wrong shape.", expected=(len(keys), self.key.num_classes), found=logits_BC.shape
            )
        bad = np.argwhere(~self.shelf.codec.representable(logits_BC)) if keys else np.empty((0, 2))
        if len(bad):
            row, column = (int(value) for value in bad[0])
            raise TeacherError(
                "A label is not finite, or too far below its row's maximum for the codec.",
                expected="finite logits; with fp16 at most 65504 below the row's maximum",
                found=f"{logits_BC[row, column]} and {len(bad) - 1} more",
                where=f"row {keys[row]}, class {column}",
                next_step="choose cache.nonfinite: quarantine or clip, or codec {kind: dense, dtype: fp32}",
            )
        return logits_BC

    def _ensure_entry(self) -> None:
        if not self._written:
            put_key(self.store, self.key)
            self._written = True
