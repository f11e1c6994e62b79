"""Rows and labels that tests make up: pure functions of the row number, so every process can tell what is right."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from blake3 import blake3

from teachers.cache.codecs.dense import Options
from teachers.cache.entry import Entry, EntryKey, entry_key
from teachers.cache.sealed import seal
from teachers.card import TeacherCard
from teachers.row_keys import from_hex
from teachers.units import Receipt, Unit

CLASSES = 10


def key_of(teacher: str = "a", dtype: Literal["fp16", "fp32"] = "fp16", classes: int = CLASSES) -> EntryKey:
    card = TeacherCard(
        architecture={"kind": "function", "function": teacher},
        weights={"digest": "00"},
        preprocessing={},
        classes=tuple(str(number) for number in range(classes)),
        gives="logits",
        floor=None,
        numerics={"dtype": "float32"},
        version="1",
    )
    return entry_key(card, Options(dtype=dtype))


def keys_of(rows: Iterable[int]) -> tuple[str, ...]:
    return tuple(blake3(b"row" + row.to_bytes(8, "little")).hexdigest(length=16) for row in rows)


def keys_array(rows: Iterable[int]) -> np.ndarray:
    return from_hex(keys_of(rows))


def logits_of(rows: Iterable[int], answer: int = 0, classes: int = CLASSES) -> np.ndarray:
    """Logits fp32 [N, C] of rows; each on a grid that fp16 holds exactly. `answer` tells two answers apart."""
    rows = np.array(list(rows), np.int64)
    grid = (rows[:, None] * 31 + np.arange(classes) * 17 + answer * 7) % 97
    return (grid / 8 - 3).astype(np.float32)


def unit_of(entry: Entry, rows: Iterable[int]) -> Unit:
    rows = tuple(rows)
    return Unit("a", entry.id, rows, keys_of(rows))


def write(entry: Entry, rows: Iterable[int], answer: int = 0, **facts: Any) -> Receipt:
    rows = tuple(rows)
    return entry.write(unit_of(entry, rows), logits_of(rows, answer), keys_of(rows), **facts)


def rows_shown(entry: Entry, rows: range) -> set[int]:
    """Returns which of the rows are visible, having checked that each one's values are right."""
    logits, present = entry.reader().gather(keys_array(rows))
    assert np.array_equal(logits[present], logits_of(np.array(rows)[present]))
    assert not logits[~present].any()
    return set(np.array(rows)[present].tolist())


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes the body of a stored record and seals it again, as another version or a forger would."""
    body = json.loads(path.read_bytes())["body"]
    change(body)
    path.write_bytes(seal(body))
