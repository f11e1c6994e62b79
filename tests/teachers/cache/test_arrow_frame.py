"""A shard is a stock Arrow file whose bodies lie on pages and whose frame is a pure function."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
import pytest
from blake3 import blake3

from foundation.errors import FormatError
from teachers.cache.arrow_frame import PAGE, assemble, frame, rows_in, views
from teachers.cache.codecs.dense import Options, encode, schema

ROWS = (1, 7, 40, 4096, 65536)


def columns_of(rows: int, classes: int, dtype: Literal["fp16", "fp32"] = "fp16") -> dict[str, np.ndarray]:
    random = np.random.default_rng(rows)
    logits = random.normal(size=(rows, classes)).astype(np.float32)
    return {"row_key": np.frombuffer(random.bytes(16 * rows), "S16"), **encode(Options(dtype=dtype), logits)}


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
@pytest.mark.parametrize("classes", [2, 10, 37])
def test_stock_arrow_reads_the_same_data(rows: int, dtype: Literal["fp16", "fp32"], classes: int) -> None:
    columns = columns_of(rows, classes, dtype)
    data = assemble(schema(Options(dtype=dtype), classes), columns)
    with pa.ipc.open_file(pa.BufferReader(data)) as file:
        assert file.num_record_batches == 1
        batch = file.get_batch(0)
    batch.validate(full=True)
    assert batch.num_rows == rows
    assert batch.schema.names == ["row_key", "logits", "max"]
    assert batch.schema.metadata[b"raydistill.shard"] == b"1"
    assert batch.schema.field("logits").type.list_size == classes
    assert not any(field.nullable for field in batch.schema)
    assert b"".join(batch["row_key"].to_pylist()) == columns["row_key"].tobytes()
    assert batch["logits"].flatten().to_numpy().tobytes() == columns["logits"].tobytes()
    assert batch["max"].to_numpy().tobytes() == columns["max"].tobytes()


def test_stock_arrow_writes_a_schema_equal_to_ours() -> None:
    data = assemble(schema(Options(), 10), columns_of(7, 10))
    items = pa.field("item", pa.float16(), nullable=False)
    expected = pa.schema(
        [
            pa.field("row_key", pa.binary(16), nullable=False),
            pa.field("logits", pa.list_(items, 10), nullable=False),
            pa.field("max", pa.float32(), nullable=False),
        ],
        metadata={"raydistill.codec": "dense/fp16/1", "raydistill.shard": "1"},
    )
    assert pa.ipc.open_file(pa.BufferReader(data)).schema.equals(expected, check_metadata=True)


@pytest.mark.parametrize("rows", ROWS)
def test_every_body_starts_on_a_page(rows: int) -> None:
    around = frame(schema(Options(), 10), rows)
    assert [offset % PAGE for offset in around.offsets] == [0, 0, 0]
    assert len(around.header) == around.offsets[0]


def test_arrow_maps_our_bodies_without_copying() -> None:
    """The offsets we take views at are the ones that Arrow's own reader finds."""
    definition = schema(Options(), 10)
    data = assemble(definition, columns_of(40, 10))
    buffer = pa.py_buffer(data)
    batch = pa.ipc.open_file(buffer).get_batch(0)
    addresses = [batch["row_key"].buffers()[1], batch["logits"].flatten().buffers()[1], batch["max"].buffers()[1]]
    assert tuple(found.address - buffer.address for found in addresses) == frame(definition, 40).offsets


@pytest.mark.parametrize("rows", ROWS)
def test_views_and_row_count_come_back(rows: int) -> None:
    definition, columns = schema(Options(), 10), columns_of(rows, 10)
    data = memoryview(assemble(definition, columns))
    assert rows_in(definition, data) == rows
    for name, column in views(definition, rows, data).items():
        assert column.tobytes() == columns[name].tobytes()


def test_frame_bytes_never_change() -> None:
    """Shards of today are compared with the frames of tomorrow: another digest here means they can't be read."""
    golden = {
        "fp16": "4b4d7502314fb65b78004823f00a914effc518cc61cf8de8740d9a0266c71630",
        "fp32": "71c1a25c84449a3b9e21e11f5e70fce661c2c83567f4cd29f46d34da8e7bd646",
    }
    for dtype, expected in golden.items():
        around = frame(schema(Options.model_validate({"dtype": dtype}), 10), 40)
        assert blake3(around.header + around.trailer).hexdigest() == expected


def test_a_shard_without_rows_is_refused() -> None:
    with pytest.raises(FormatError):
        frame(schema(Options(), 10), 0)


def test_a_claimed_row_count_is_bounded_by_the_size() -> None:
    definition = schema(Options(), 10)
    data = bytearray(assemble(definition, columns_of(7, 10)))
    at = frame(definition, 7).rows_at
    for claim in (2**62, -1, 0):
        data[at : at + 8] = claim.to_bytes(8, "little", signed=True)
        with pytest.raises(FormatError):
            rows_in(definition, memoryview(bytes(data)))
    with pytest.raises(FormatError):
        rows_in(definition, memoryview(b"short"))


def test_a_column_of_another_shape_is_refused() -> None:
    with pytest.raises(FormatError):
        assemble(schema(Options(), 11), columns_of(7, 10))
