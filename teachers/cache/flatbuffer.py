"""A flatbuffer writer with one output per input, for the three small messages of an Arrow file.

Arrow libraries arrange the same message differently (pyarrow 14 and 26 do), and a shard's frame is compared byte for
byte for ever, so this project writes its own. Rules kept: a table lies at a multiple of 8 right after its own vtable,
fields in slot order at their natural alignment, nothing left out, children after their parents, depth first.
Format: https://flatbuffers.dev/internals
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Number:
    """An inline scalar: 'B' uint8, 'h' int16, 'i' int32, 'q' int64. `mark` names its place in `Built.marks`."""

    format: str
    value: int
    mark: str = ""


@dataclass(frozen=True)
class Structs:
    """A vector of structs of 8-byte alignment, such as '<qq'."""

    format: str
    items: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Table:
    """Fields by slot number."""

    fields: Mapping[int, Value]


Value = Number | Structs | Table | str | tuple[Table, ...]


@dataclass(frozen=True)
class Built:
    """The bytes, a multiple of 8, and where the marked numbers lie in them."""

    data: bytes
    marks: dict[str, int]


def build(root: Table) -> Built:
    """Returns the flatbuffer of a table."""
    out = bytearray(4)
    marks: dict[str, int] = {}
    struct.pack_into("<I", out, 0, _table(out, root, marks))
    _pad(out, 8)
    return Built(bytes(out), marks)


def _table(out: bytearray, table: Table, marks: dict[str, int]) -> int:
    slots: list[int] = [0] * (max(table.fields) + 1)
    size = 4  # the distance to the vtable comes first
    for slot, value in sorted(table.fields.items()):
        width = struct.calcsize("<" + value.format) if isinstance(value, Number) else 4
        size = -(-size // width) * width
        slots[slot] = size
        size += width
    vtable = struct.pack(f"<{2 + len(slots)}H", 4 + 2 * len(slots), size, *slots)
    _pad(out, 8, after=len(vtable))
    out += vtable
    start = len(out)
    out += bytes(size)
    struct.pack_into("<i", out, start, len(vtable))
    for slot, value in sorted(table.fields.items()):
        at = start + slots[slot]
        if isinstance(value, Number):
            struct.pack_into("<" + value.format, out, at, value.value)
            if value.mark:
                marks[value.mark] = at
        else:
            child = _child(out, value, marks)
            struct.pack_into("<I", out, at, child - at)
    return start


def _child(out: bytearray, value: Structs | Table | str | tuple[Table, ...], marks: dict[str, int]) -> int:
    if isinstance(value, Table):
        return _table(out, value, marks)
    if isinstance(value, str):
        text = value.encode()
        _pad(out, 4)
        start = len(out)
        out += struct.pack("<I", len(text)) + text + b"\0"
        return start
    if isinstance(value, Structs):
        _pad(out, 8, after=4)
        start = len(out)
        out += struct.pack("<I", len(value.items))
        for item in value.items:
            out += struct.pack(value.format, *item)
        return start
    _pad(out, 4)
    start = len(out)
    out += struct.pack("<I", len(value)) + bytes(4 * len(value))
    for index, table in enumerate(value):
        at = start + 4 + 4 * index
        struct.pack_into("<I", out, at, _table(out, table, marks) - at)
    return start


def _pad(out: bytearray, multiple: int, *, after: int = 0) -> None:
    """Pads so that the position `after` bytes further on is a multiple."""
    out += bytes(-(len(out) + after) % multiple)
