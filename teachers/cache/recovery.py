"""What a crash leaves behind is adopted; what a disk damages is found, set aside and labelled anew.

`recover` looks for rows that were stored and are not visible: receipts no generation knows (the driver died), shards
no receipt knows (the worker died), and hidden rows whose visible twin is gone. `audit` compares what is committed
with its digests. `set_aside` removes one damaged object from sight; nothing is ever deleted here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from foundation.errors import CorruptionError, FormatError
from teachers.cache import layout
from teachers.cache.crash import crash_point
from teachers.cache.generation import Change, State
from teachers.cache.receipts import get_receipt, put_receipt
from teachers.cache.row_table import shard_keys
from teachers.row_keys import from_hex, to_hex
from teachers.units import Receipt, Unit

if TYPE_CHECKING:
    from teachers.cache.entry import Entry


@dataclass(frozen=True)
class Damage:
    """A stored object that isn't what was committed.

    Attributes:
        kind: what it is.
        name: digest of the shard, name of the receipt, or words about the generation.
        rows: rows that can't be read because of it (0 for receipts and generations).
        expected, found: digests, or what stands for them.
        where: the file.
    """

    kind: Literal["shard", "receipt", "generation"]
    name: str
    rows: int
    summary: str
    expected: str
    found: str
    where: str


def recover(entry: Entry) -> list[Receipt]:
    """Returns verified receipts of rows that are stored but not visible. Damaged orphans are left alone: they were
    never acknowledged, and a writer may still be at work on them."""
    state = entry.ledger.state()
    table = entry.table(state)
    found: list[Receipt] = []
    told: set[str] = set(state.shards)
    for stem in layout.receipts_in(entry.store, entry.id):
        if stem in state.receipts:
            continue
        try:
            receipt = get_receipt(entry.store, entry.id, stem)
            if receipt.shard and receipt.shard not in state.shards:
                entry.shelf.open(receipt.shard, from_hex(receipt.keys), rows=receipt.rows)
        except (CorruptionError, FormatError):
            continue
        told.add(receipt.shard)
        new = bool((table.locate(from_hex(receipt.keys)) < 0).any())
        if new or any(state.quarantined.get(hex_key) != reason for hex_key, reason in receipt.quarantined):
            found.append(receipt)
    for shard in layout.shards_in(entry.store, entry.id):
        if shard not in told and (orphan := _orphan(entry, shard)):
            if (table.locate(from_hex(orphan.keys)) < 0).any():
                found.append(put_receipt(entry.store, orphan))
    return found + _twins(entry, state)


def _orphan(entry: Entry, shard: str) -> Receipt | None:
    try:
        keys_N = entry.shelf.open(shard)["row_key"]
        keys = tuple(to_hex(keys_N))
        if len(set(keys)) != len(keys):
            return None
        size = entry.shelf.size(shard) or 0
    except (CorruptionError, FormatError):
        return None
    unit = Unit("", entry.id, (), keys).id
    return Receipt(unit, entry.id, shard, size, keys, extra={"recovered": True})


def _twins(entry: Entry, state: State) -> list[Receipt]:
    """Receipts for committed shards with hidden rows that nothing answers for any more."""
    table = entry.table(state)
    out = []
    for record in state.shards.values():
        if not record.hidden:
            continue
        keys_N = shard_keys(record, entry.shelf)
        if (table.locate(keys_N[list(record.hidden)]) < 0).any():
            keys = tuple(to_hex(keys_N))
            out.append(Receipt(record.unit, entry.id, record.shard, record.bytes, keys, extra={"recovered": True}))
    return out


def audit(entry: Entry, *, paranoid: bool) -> list[Damage]:
    """Returns every damage of the entry; reads receipts and generations, and shards as told (see `Entry.audit`)."""
    state = entry.ledger.state()
    where = f"{entry.store.location}/{layout.folder(entry.id, 'manifest')}"
    out = [Damage("generation", text, 0, "A generation had to be skipped.", "", text, where) for text in state.damaged]
    for record in state.shards.values():
        if not paranoid and entry.shelf.remembered(record.shard, record.bytes):
            continue
        try:
            keys_N = None if record.keys is None else from_hex([record.keys])
            entry.shelf.open(record.shard, keys_N, rows=record.rows, trust=False)
        except (CorruptionError, FormatError) as error:
            out.append(_damage("shard", record.shard, record.rows - len(record.hidden), error))
    for stem in layout.receipts_in(entry.store, entry.id):
        try:
            get_receipt(entry.store, entry.id, stem)
        except CorruptionError as error:
            out.append(_damage("receipt", stem, 0, error))
    return out


def set_aside(entry: Entry, damage: Damage) -> int:
    """Moves a damaged object out of sight; returns how many rows lost their label."""
    if damage.kind == "generation":
        entry.ledger.commit(lambda state: Change(), heal=True)
        return 0
    if damage.kind == "receipt":
        name = layout.receipt_name(entry.id, damage.name)
        entry.store.move(name, layout.quarantine_name(entry.id, name))
        return 0
    return _set_shard_aside(entry, damage.name)


def _set_shard_aside(entry: Entry, shard: str) -> int:
    record = entry.ledger.state().shards.get(shard)
    if record is None:
        return 0
    try:
        entry.shelf.open(shard, rows=record.rows, trust=False)
    except (CorruptionError, FormatError):
        pass
    else:
        return 0  # somebody has mended it since it was found
    name = layout.data_name(entry.id, shard)
    entry.store.move(name, layout.quarantine_name(entry.id, name))
    crash_point("set_aside.moved")
    entry.ledger.commit(lambda state: Change(removed=(shard,) if shard in state.shards else ()))
    return record.rows - len(record.hidden)


def _damage(kind: Literal["shard", "receipt"], name: str, rows: int, error: CorruptionError | FormatError) -> Damage:
    return Damage(kind, name, rows, error.summary, error.expected or "", error.found or "", error.where or "")
