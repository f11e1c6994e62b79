"""The bytes around the columns of a shard: an Arrow IPC file with one record batch and page-aligned bodies.

Any Arrow library reads such a file. Here no Arrow parser runs when labels are read: everything that is not a column
body (magic, schema, batch metadata, footer) is a pure function of the schema and the number of rows, so a reader
compares those bytes with the regenerated ones and takes plain views at known offsets.

The messages are written by `flatbuffer.py` and not by an Arrow library: libraries align bodies to 64 bytes at most,
and their metadata bytes change from version to version. The batch metadata is padded with zeros up to the page.
Format: https://arrow.apache.org/docs/format/Columnar.html, Schema.fbs, Message.fbs, File.fbs
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from foundation.errors import FormatError
from teachers.cache.flatbuffer import Built, Number, Structs, Table, Value, build

PAGE = 4096
_MAGIC = b"ARROW1\x00\x00"
_MARK = b"\xff\xff\xff\xff"
_END = _MARK + b"\x00\x00\x00\x00"
_VERSION = Number("h", 4)  # metadata version 5


@dataclass(frozen=True)
class Column:
    """A fixed-width column without nulls. `type` is 'key' (16 bytes), 'half' or 'float'; `width` 0 means a scalar."""

    name: str
    type: str
    width: int = 0

    @property
    def dtype(self) -> np.dtype:
        return np.dtype({"key": "S16", "half": "<f2", "float": "<f4"}[self.type])

    @property
    def row_bytes(self) -> int:
        return self.dtype.itemsize * max(self.width, 1)


@dataclass(frozen=True)
class ShardSchema:
    """Columns in file order, and pairs of text that go into the Arrow schema's metadata."""

    columns: tuple[Column, ...]
    metadata: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Frame:
    """What surrounds the bodies of one shard: its first and last bytes, where each body starts, the whole size, and
    where the header says how many rows there are."""

    header: bytes
    trailer: bytes
    offsets: tuple[int, ...]
    size: int
    rows_at: int


def frame(schema: ShardSchema, rows: int) -> Frame:
    """Returns the frame of a shard with `rows` rows: a pure function. Raises `FormatError` for no rows."""
    if rows < 1:
        raise FormatError("A shard holds at least one row.", found=rows)
    return _frame(schema, rows)


def rows_in(schema: ShardSchema, data: memoryview) -> int:
    """Returns the row count that the header of a shard claims. Compare the whole frame before trusting anything."""
    at = frame(schema, 1).rows_at
    if len(data) < at + 8:
        raise FormatError("A shard is too short to hold a header.", expected=f"over {at + 8} bytes", found=len(data))
    rows: int = struct.unpack_from("<q", data, at)[0]
    if not 0 < rows * sum(column.row_bytes for column in schema.columns) <= len(data):
        raise FormatError("A shard claims a number of rows that its size can't hold.", found=rows)
    return rows


def views(schema: ShardSchema, rows: int, data: memoryview) -> dict[str, np.ndarray]:
    """Returns the columns as views into `data`: [rows] or [rows, width]. The frame must have been compared."""
    out = {}
    for column, offset in zip(schema.columns, frame(schema, rows).offsets, strict=True):
        flat = np.frombuffer(data, column.dtype, rows * max(column.width, 1), offset)
        out[column.name] = flat.reshape(rows, column.width) if column.width else flat
    return out


def assemble(schema: ShardSchema, columns: dict[str, np.ndarray]) -> bytes:
    """Returns the bytes of a shard with these columns, each [rows] or [rows, width]."""
    rows = len(columns[schema.columns[0].name])
    around = frame(schema, rows)
    out = bytearray(around.size)
    out[: len(around.header)] = around.header
    out[around.size - len(around.trailer) :] = around.trailer
    for column, offset in zip(schema.columns, around.offsets, strict=True):
        body = np.ascontiguousarray(columns[column.name], column.dtype)
        if body.shape != ((rows, column.width) if column.width else (rows,)):
            raise FormatError("A column doesn't have the shape of its schema.", found=body.shape, where=column.name)
        out[offset : offset + body.nbytes] = body.view(np.uint8).reshape(-1).data
    return bytes(out)


@lru_cache(maxsize=512)
def _frame(schema: ShardSchema, rows: int) -> Frame:
    nodes, buffers, starts, end = [], [], [], 0
    for column in schema.columns:
        nodes += [(rows, 0)] + ([(rows * column.width, 0)] if column.width else [])
        empty = 2 if column.width else 1  # validity of the list and of its items: absent
        buffers += [(end, 0)] * empty + [(end, rows * column.row_bytes)]
        starts.append(end)
        end = _page(end + rows * column.row_bytes)
    head, batch = _head(schema), _batch(rows, tuple(nodes), tuple(buffers), end)
    body_start = _page(len(head) + 8 + len(batch.data))
    metadata = body_start - len(head) - 8
    header = head + _MARK + struct.pack("<i", metadata) + batch.data.ljust(metadata, b"\0")
    block = Structs("<qi4xq", ((len(head), metadata + 8, end),))
    footer = build(Table({0: _VERSION, 1: _schema(schema), 2: Structs("<qi4xq", ()), 3: block})).data
    trailer = _END + footer + struct.pack("<i", len(footer)) + _MAGIC[:6]
    offsets = tuple(body_start + start for start in starts)
    return Frame(header, trailer, offsets, body_start + end + len(trailer), len(head) + 8 + batch.marks["rows"])


@lru_cache(maxsize=64)
def _head(schema: ShardSchema) -> bytes:
    message = build(Table({0: _VERSION, 1: Number("B", 1), 2: _schema(schema), 3: Number("q", 0)})).data
    return _MAGIC + _MARK + struct.pack("<i", len(message)) + message


def _batch(rows: int, nodes: tuple[tuple[int, ...], ...], buffers: tuple[tuple[int, ...], ...], end: int) -> Built:
    record = Table({0: Number("q", rows, mark="rows"), 1: Structs("<qq", nodes), 2: Structs("<qq", buffers)})
    return build(Table({0: _VERSION, 1: Number("B", 3), 2: record, 3: Number("q", end)}))


def _schema(schema: ShardSchema) -> Table:
    pairs = tuple(Table({0: key, 1: value}) for key, value in schema.metadata)
    return Table({0: Number("h", 0), 1: tuple(_field(column) for column in schema.columns), 2: pairs})


def _field(column: Column) -> Table:
    number, arrow_type = {
        "key": (15, Table({0: Number("i", 16)})),  # FixedSizeBinary(16)
        "half": (3, Table({0: Number("h", 0)})),  # FloatingPoint(HALF)
        "float": (3, Table({0: Number("h", 1)})),  # FloatingPoint(SINGLE)
    }[column.type]
    # Slots: 0 name, 1 nullable, 2 and 3 type, 5 children.
    scalar: dict[int, Value] = {1: Number("B", 0), 2: Number("B", number), 3: arrow_type, 5: ()}
    if not column.width:
        return Table({0: column.name, **scalar})
    items = Table({0: "item", **scalar})
    size = Table({0: Number("i", column.width)})
    return Table({0: column.name, 1: Number("B", 0), 2: Number("B", 16), 3: size, 5: (items,)})  # FixedSizeList


def _page(size: int) -> int:
    return -(-size // PAGE) * PAGE
