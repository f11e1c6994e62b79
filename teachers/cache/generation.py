"""The value behind a manifest: which shards are visible, and what one generation changes about that.

Generation n+1 is n minus `removed` plus `added`; a *fold* also holds the whole outcome, so that opening never reads
far back. Everything here is pure; `ledger.py` reads and writes the files.

A row is visible exactly once: a shard's record lists the offsets of its rows that were visible elsewhere when it was
committed (`hidden`). Fields a newer minor version added are kept when records are folded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from foundation.errors import FormatError
from teachers.cache.layout import is_digest
from teachers.cache.sealed import FORMAT

INLINE_KEYS = 256  # rows; the keys of larger shards are read from the shard itself


@dataclass(frozen=True)
class ShardRecord:
    """One shard of an entry.

    Attributes:
        shard: digest of the file's bytes, which is also its name.
        bytes: size of the file.
        rows: rows in the file, hidden ones included.
        unit: id of the unit it holds.
        keys: row keys in hex, concatenated, in order; None = in the shard's own first column.
        hidden: offsets of rows that another shard, committed before, answers for.
        extra: fields of a newer minor version.
    """

    shard: str
    bytes: int
    rows: int
    unit: str
    keys: str | None
    hidden: tuple[int, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        named = {"shard": self.shard, "bytes": self.bytes, "rows": self.rows, "unit": self.unit, "keys": self.keys}
        return {**self.extra, **named, "hidden": list(self.hidden)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ShardRecord:
        rest = dict(data)
        named = {name: rest.pop(name) for name in ("shard", "bytes", "rows", "unit", "keys")}
        hidden = tuple(int(offset) for offset in rest.pop("hidden", ()))
        record = cls(**named, hidden=hidden, extra=rest)
        sizes_fit = record.keys is None or len(record.keys) == 32 * record.rows
        if not (is_digest(record.shard) and record.rows > 0 and sizes_fit):
            raise FormatError("A generation names a shard in a form that nobody writes.", found=str(record.shard)[:80])
        return record


@dataclass(frozen=True)
class Change:
    """What one generation does. `added` replaces a record of the same shard."""

    added: tuple[ShardRecord, ...] = ()
    removed: tuple[str, ...] = ()
    receipts: tuple[str, ...] = ()
    quarantined: dict[str, str] = field(default_factory=dict)
    covers: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.receipts or self.quarantined or self.covers)


@dataclass(frozen=True)
class State:
    """An entry at one generation.

    Attributes:
        generation: number; 0 = nothing was ever committed.
        shards: records by digest, in the order they were committed.
        receipts: names of the receipts that have had their say.
        quarantined: row key (hex) -> reason, of rows set aside; a row that got a label later wins over this.
        covers: digests of data chunks whose rows all have labels.
        since_fold: (generations, shard records) a reader walks through before it meets a fold.
        removals: how many shards were ever removed in what was read; a change makes older `covers` claims void.
        damaged: what was wrong with generations that had to be skipped.
        extra: fields of a newer minor version.
    """

    generation: int = 0
    shards: dict[str, ShardRecord] = field(default_factory=dict)
    receipts: frozenset[str] = frozenset()
    quarantined: dict[str, str] = field(default_factory=dict)
    covers: frozenset[str] = frozenset()
    since_fold: tuple[int, int] = (0, 0)
    removals: int = 0
    damaged: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)

    def after(self, change: Change, generation: int, *, fold: bool, extra: dict[str, Any] | None = None) -> State:
        """Returns the state one generation on."""
        gone = set(change.removed)
        shards = {digest: record for digest, record in self.shards.items() if digest not in gone}
        shards.update({record.shard: record for record in change.added})
        generations, records = self.since_fold
        # Whoever removes rows can't know which chunks they belong to: no chunk counts as covered any more.
        covers = frozenset() if gone else self.covers
        return replace(
            self,
            generation=generation,
            shards=shards,
            receipts=self.receipts | frozenset(change.receipts),
            quarantined={**self.quarantined, **change.quarantined},
            covers=covers | frozenset(change.covers),
            since_fold=(0, 0) if fold else (generations + 1, records + len(change.added) + len(gone)),
            removals=self.removals + len(gone),
            extra={**self.extra, **(extra or {})},
        )


def should_fold(state: State, change: Change) -> bool:
    """True when the next generation should hold the whole table.

    Doubling keeps the bytes written linear in the number of shards; 64 bounds how many files an opening reads.
    """
    generations, records = state.since_fold
    return bool(state.damaged) or generations >= 63 or records + len(change.added) >= max(16, len(state.shards))


def to_body(entry: str, commit: str, run: str, change: Change, outcome: State, *, fold: bool) -> dict[str, Any]:
    """Returns the record of the generation `outcome` that came about by `change`."""
    body: dict[str, Any] = {
        **outcome.extra,
        "format": FORMAT,
        "entry": entry,
        "generation": outcome.generation,
        "commit": commit,
        "run": run,
        "change": {
            "added": [record.to_json() for record in change.added],
            "removed": list(change.removed),
            "receipts": list(change.receipts),
            "quarantined": change.quarantined,
            "covers": list(change.covers),
        },
        "fold": None,
    }
    if fold:
        body["fold"] = {
            "shards": [record.to_json() for record in outcome.shards.values()],
            "receipts": sorted(outcome.receipts),
            "quarantined": outcome.quarantined,
            "covers": sorted(outcome.covers),
            "removals": outcome.removals,
        }
    return body


_KNOWN = ("format", "entry", "generation", "commit", "run", "change", "fold")


def apply_body(state: State, body: dict[str, Any]) -> State:
    """Returns the state after the generation that `body` records; a fold replaces whatever was before."""
    extra = {name: value for name, value in body.items() if name not in _KNOWN}
    fold = body["fold"]
    if fold is not None:
        return State(
            generation=body["generation"],
            shards={record.shard: record for record in _records(fold["shards"])},
            receipts=frozenset(fold["receipts"]),
            quarantined=dict(fold["quarantined"]),
            covers=frozenset(fold["covers"]),
            removals=int(fold["removals"]),
            extra=extra,
        )
    change = body["change"]
    return state.after(
        Change(
            added=tuple(_records(change["added"])),
            removed=tuple(change["removed"]),
            receipts=tuple(change["receipts"]),
            quarantined=dict(change["quarantined"]),
            covers=tuple(change["covers"]),
        ),
        body["generation"],
        fold=False,
        extra=extra,
    )


def _records(items: Iterable[dict[str, Any]]) -> list[ShardRecord]:
    return [ShardRecord.from_json(item) for item in items]
