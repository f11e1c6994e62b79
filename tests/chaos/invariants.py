"""What must hold after any crash, read from the stored files only (the names I1 to I5 are those of docs/faults.md).

I1 what was acknowledged is visible; I2 every visible byte matches its digest; I3 each (teacher, row) is there once;
I4 after the end every row is there; I5 labels equal an undisturbed run's, bit by bit. Finished trials and students
count as acknowledged, too: their records never change again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foundation.fingerprint import digest
from teachers.cache.cache import LabelCache
from teachers.cache.config import CacheConfig
from teachers.prepare import SAME_LABEL_BOUND
from teachers.row_keys import to_hex


@dataclass(frozen=True)
class Snapshot:
    """What is acknowledged at one moment: rows by entry, and digests of records that must never change."""

    rows: dict[str, frozenset[str]]
    records: dict[str, str]


def open_cache(folder: Path) -> LabelCache:
    return LabelCache.open(CacheConfig(), folder, create=False)


def run_folder(folder: Path) -> Path:
    """The one run folder below `folder`."""
    (found,) = (folder / "runs").iterdir()
    return found


def snapshot(folder: Path) -> Snapshot:
    """Reads what is acknowledged now; works at any moment, also before anything exists."""
    rows = {}
    if (folder / "cache").is_dir():
        rows = {entry.id: frozenset(to_hex(entry.committed().keys)) for entry in open_cache(folder).entries()}
    records = {}
    for pattern in ("journal/trials/*.json", "students/*/*.safetensors"):
        for path in (folder / "runs").glob(f"*/{pattern}"):
            if not path.name.startswith("."):
                records[path.relative_to(folder).as_posix()] = digest(path.read_bytes())
    return Snapshot(rows, records)


def lost(before: Snapshot, after: Snapshot) -> list[str]:
    """I1: complaints about anything that was there and isn't, or isn't the same."""
    out = []
    for entry, keys in before.rows.items():
        if gone := keys - after.rows.get(entry, frozenset()):
            out.append(f"I1: {len(gone)} acknowledged rows of entry {entry[:12]} are not visible any more")
    for name, value in before.records.items():
        if after.records.get(name) != value:
            out.append(f"I1: the record {name} has changed or gone")
    return out


def labels(folder: Path) -> dict[str, dict[str, bytes]]:
    """Every visible label by entry and row key, as the bytes a student would be trained on."""
    out = {}
    for entry in open_cache(folder).entries():
        keys = entry.committed().keys
        logits_NC, present_N = entry.reader().gather(keys)
        assert present_N.all()
        out[entry.id] = {key: row.tobytes() for key, row in zip(to_hex(keys), logits_NC, strict=True)}
    return out


def stored_damage(folder: Path) -> list[str]:
    """I2 and I3 for every entry."""
    out = []
    cache = open_cache(folder)
    out += [f"I2: {error.summary}" for error in cache.damaged_entries()]
    for entry in cache.entries():
        out += [f"I2: {damage.kind} {damage.name}: {damage.summary}" for damage in entry.audit(paranoid=True)]
        keys = entry.committed().keys
        if len(np.unique(keys)) != len(keys):
            out.append(f"I3: entry {entry.id[:12]} shows a row twice")
    return out


def units(folder: Path) -> dict[str, frozenset[str]]:
    """Ids of all units with a receipt, by entry."""
    return {entry.id: frozenset(one.unit for one in entry.receipts()) for entry in open_cache(folder).entries()}


def cut_anew(folder: Path, known: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Rows by entry that were labelled in units an undisturbed run doesn't have: units cut in two after deaths."""
    out = {}
    for entry in open_cache(folder).entries():
        cut = [one for one in entry.receipts() if one.unit not in known.get(entry.id, frozenset())]
        out[entry.id] = frozenset(key for one in cut for key in one.keys)
    return out


def differences(
    folder: Path, reference: dict[str, dict[str, bytes]], known: dict[str, frozenset[str]] | None = None
) -> list[str]:
    """I4 and I5 against the labels of an undisturbed run, and its units (`known`).

    Bit by bit; only where a unit was cut in two does a row stand at another place of its batch, where matrix kernels
    round differently in the last bits: there 1e-5 is allowed.
    """
    mine, out = labels(folder), []
    elsewhere = cut_anew(folder, known) if known is not None else {}
    if set(mine) != set(reference):
        out.append(f"I4: {len(mine)} entries instead of {len(reference)}, or others")
    for entry, rows in reference.items():
        found = mine.get(entry, {})
        if missing := set(rows) - set(found):
            out.append(f"I4: {len(missing)} rows of entry {entry[:12]} have no label")
        if extra := set(found) - set(rows):
            out.append(f"I4: {len(extra)} rows of entry {entry[:12]} were never asked for")
        moved = elsewhere.get(entry, frozenset())
        if wrong := [key for key, row in rows.items() if not _same(found.get(key, row), row, key in moved)]:
            out.append(f"I5: {len(wrong)} rows of entry {entry[:12]} differ from the undisturbed run")
    return out


def _same(one: bytes, other: bytes, nearly: bool) -> bool:
    if one == other or not nearly:
        return one == other
    gap = np.abs(np.frombuffer(one, np.float32) - np.frombuffer(other, np.float32))
    return bool(gap.max() <= SAME_LABEL_BOUND)


def result(folder: Path) -> dict[str, Any]:
    """What of the report must not depend on crashes: the number of trials, and students that no search has changed."""
    report = json.loads((run_folder(folder) / "report.json").read_text(encoding="utf-8"))
    fixed = ("labels_only", "plain_mean", "oracle")
    return {
        "trials": report["search"]["trials"],
        "quarantined": report["counters"]["rows_quarantined"],
        "students": {
            one["name"]: one["test_accuracy"]["per_seed"] for one in report["students"] if one["name"] in fixed
        },
    }


def rows_labelled(folder: Path) -> int:
    """Rows that teachers were paid for, over all attempts."""
    report = json.loads((run_folder(folder) / "report.json").read_text(encoding="utf-8"))
    return int(report["counters"]["rows_labelled"])
