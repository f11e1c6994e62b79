"""The bytes around the columns of a shard: an Arrow IPC file with one record batch and page-aligned bodies.

Any Arrow library reads such a file. Here no Arrow parser runs when labels are read: everything that is not a column
body (magic, schema, batch metadata, footer) is a pure function of the schema and the number of rows, so a reader
compares those bytes with the regenerated ones and takes plain views at known offsets.

Arrow itself aligns bodies to 64 bytes at most. So pyarrow writes the messages once, for one row; then the inline
int64 structs in its flatbuffers (row counts, buffer offsets, body length, the footer's block) are set to ours and the
batch metadata is padded with zeros up to the page. Format: https://arrow.apache.org/docs/format/Columnar.html
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from foundation.errors import FormatError

PAGE = 4096
_MAGIC = b"ARROW1\x00\x00"
_MARK = b"\xff\xff\xff\xff"
_END = _MARK + b"\x00\x00\x00\x00"


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
    """What surrounds the bodies of one shard: its first and last bytes, where each body starts, the whole size."""

    header: bytes
    trailer: bytes
    offsets: tuple[int, ...]
    size: int


@dataclass(frozen=True)
class _Template:
    head: bytes  # magic and schema message
    batch: bytearray  # flatbuffer of the batch message
    footer: bytearray  # flatbuffer of the footer
    length_at: int  # positions of the int64s that are set per frame
    nodes_at: int
    buffers_at: int
    body_at: int
    block_at: int


def frame(schema: ShardSchema, rows: int) -> Frame:
    """Returns the frame of a shard with `rows` rows: a pure function. Raises `FormatError` for no rows."""
    if rows < 1:
        raise FormatError("A shard holds at least one row.", found=rows)
    return _frame(schema, rows)


def rows_in(schema: ShardSchema, data: memoryview) -> int:
    """Returns the row count that the header of a shard claims. Compare the whole frame before trusting anything."""
    template = _template(schema)
    at = len(template.head) + 8 + template.length_at
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
    template = _template(schema)
    batch, footer = bytearray(template.batch), bytearray(template.footer)
    body_start = _page(len(template.head) + 8 + len(batch))
    nodes, buffers, offsets, end = [], [], [], 0
    for column in schema.columns:
        nodes += [rows] + ([rows * column.width] if column.width else [])
        empty = 2 if column.width else 1  # validity of the list and of its items: absent
        buffers += [(end, 0)] * empty + [(end, rows * column.row_bytes)]
        offsets.append(body_start + end)
        end = _page(end + rows * column.row_bytes)
    struct.pack_into("<q", batch, template.length_at, rows)
    for index, count in enumerate(nodes):
        struct.pack_into("<qq", batch, template.nodes_at + 16 * index, count, 0)
    for index, (start, length) in enumerate(buffers):
        struct.pack_into("<qq", batch, template.buffers_at + 16 * index, start, length)
    struct.pack_into("<q", batch, template.body_at, end)
    metadata = body_start - len(template.head) - 8
    header = template.head + _MARK + struct.pack("<i", metadata) + bytes(batch).ljust(metadata, b"\0")
    struct.pack_into("<qi4xq", footer, template.block_at, len(template.head), metadata + 8, end)
    trailer = _END + bytes(footer) + struct.pack("<i", len(footer)) + _MAGIC[:6]
    return Frame(header, trailer, tuple(offsets), body_start + end + len(trailer))


@lru_cache(maxsize=64)
def _template(schema: ShardSchema) -> _Template:
    data = _written_by_pyarrow(schema)
    (schema_length,) = struct.unpack_from("<i", data, 12)
    head = data[: 16 + schema_length]
    (batch_length,) = struct.unpack_from("<i", data, len(head) + 4)
    batch = bytearray(data[len(head) + 8 : len(head) + 8 + batch_length])
    (footer_length,) = struct.unpack_from("<i", data, len(data) - 10)
    footer = bytearray(data[len(data) - 10 - footer_length : len(data) - 10])
    message = _table(batch, 0)
    record_batch = _follow(batch, message[2])
    fields = _table_at(batch, record_batch)
    return _Template(
        head=head,
        batch=batch,
        footer=footer,
        length_at=fields[0],
        nodes_at=_follow(batch, fields[1]) + 4,
        buffers_at=_follow(batch, fields[2]) + 4,
        body_at=message[3],
        block_at=_follow(footer, _table(footer, 0)[3]) + 4,
    )


def _written_by_pyarrow(schema: ShardSchema) -> bytes:
    import pyarrow as pa  # only the two dozen bytes of metadata need it

    scalars = {"key": pa.binary(16), "half": pa.float16(), "float": pa.float32()}
    fields, arrays = [], []
    for column in schema.columns:
        kind = scalars[column.type]
        if column.width:
            kind = pa.list_(pa.field("item", kind, nullable=False), column.width)
        fields.append(pa.field(column.name, kind, nullable=False))
        zero = np.zeros(max(column.width, 1) * column.row_bytes, np.uint8)
        flat = pa.Array.from_buffers(scalars[column.type], max(column.width, 1), [None, pa.py_buffer(zero)])
        arrays.append(pa.Array.from_buffers(kind, 1, [None], children=[flat]) if column.width else flat)
    arrow_schema = pa.schema(fields, metadata=dict(schema.metadata))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, arrow_schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=arrow_schema))
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _page(size: int) -> int:
    return -(-size // PAGE) * PAGE


# A flatbuffer table starts with the (negative) distance to its vtable; the vtable lists where each field lies.
def _table(buffer: bytearray, at: int) -> dict[int, int]:
    return _table_at(buffer, _follow(buffer, at))


def _table_at(buffer: bytearray, at: int) -> dict[int, int]:
    vtable = at - struct.unpack_from("<i", buffer, at)[0]
    size = struct.unpack_from("<H", buffer, vtable)[0]
    slots = struct.unpack_from(f"<{(size - 4) // 2}H", buffer, vtable + 4)
    return {index: at + slot for index, slot in enumerate(slots) if slot}


def _follow(buffer: bytearray, at: int) -> int:
    target: int = at + struct.unpack_from("<I", buffer, at)[0]
    return target
