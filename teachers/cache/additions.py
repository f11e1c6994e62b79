"""Which change makes receipts visible: the pure decision behind `Entry.publish`, made again after every lost race.

A row that is visible already, or comes twice, keeps its first answer; the later shard's record hides its copy.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from foundation.errors import CorruptionError, DataError
from teachers.cache import layout
from teachers.cache.generation import INLINE_KEYS, Change, ShardRecord, State
from teachers.cache.receipts import stem_of
from teachers.cache.row_table import RowTable
from teachers.row_keys import from_hex, to_bytes
from teachers.units import Receipt

if TYPE_CHECKING:
    from teachers.cache.entry import Entry


def additions(
    entry: Entry, state: State, receipts: tuple[Receipt, ...], covers: tuple[str, ...], seen: State
) -> Change:
    """Returns what `state` lacks of the receipts and covers; an empty change when it lacks nothing.

    `seen` is the state the caller knew when it decided that `covers` are covered.
    """
    table = entry.table(state)
    added: dict[str, ShardRecord] = {}
    quarantined: dict[str, str] = {}
    taken: set[bytes] = set()
    for receipt in receipts:
        if receipt.entry != entry.id:
            raise DataError("A receipt belongs to another entry.", expected=entry.id, found=receipt.entry)
        if receipt.shard and receipt.shard not in added:
            record = _placed(entry, receipt, state.shards.get(receipt.shard), table, taken)
            if record is not None:
                added[receipt.shard] = record
        quarantined.update((key, reason) for key, reason in receipt.quarantined if state.quarantined.get(key) != reason)
    current = state.removals == seen.removals and not state.damaged
    return Change(
        added=tuple(added.values()),
        receipts=tuple(dict.fromkeys(stem for r in receipts if (stem := stem_of(r)) not in state.receipts)),
        quarantined=quarantined,
        covers=tuple(dict.fromkeys(chunk for chunk in covers if chunk not in state.covers)) if current else (),
    )


def _placed(
    entry: Entry, receipt: Receipt, record: ShardRecord | None, table: RowTable, taken: set[bytes]
) -> ShardRecord | None:
    """Returns the shard's record with the rows hidden that others answer for; None when nothing changes."""
    if record is not None and not record.hidden:
        return None
    keys_N = from_hex(receipt.keys)
    raw = to_bytes(keys_N)
    elsewhere_N = table.locate(keys_N) >= 0
    hidden = []
    for offset in range(receipt.rows) if record is None else record.hidden:
        key = raw[16 * offset : 16 * offset + 16]
        if elsewhere_N[offset] or key in taken:
            hidden.append(offset)
        taken.add(key)
    if record is not None:
        return None if len(hidden) == len(record.hidden) else replace(record, hidden=tuple(hidden))
    _check_size(entry, receipt)
    inline = raw.hex() if receipt.rows <= INLINE_KEYS else None
    return ShardRecord(receipt.shard, receipt.bytes, receipt.rows, receipt.unit, inline, tuple(hidden))


def _check_size(entry: Entry, receipt: Receipt) -> None:
    if (size := entry.shelf.size(receipt.shard)) != receipt.bytes:
        raise CorruptionError(
            "A shard is not what its receipt says.",
            expected=f"blake3 {receipt.shard}, {receipt.bytes} bytes",
            found="no file" if size is None else f"{size} bytes",
            where=f"{entry.store.location}/{layout.data_name(entry.id, receipt.shard)}",
            next_step="run the same command again: its rows are labelled anew",
        )
