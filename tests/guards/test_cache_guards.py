"""Guards of the cache that a second one behind them would hide: each is shown alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from foundation.errors import CorruptionError, FormatError
from foundation.fingerprint import digest
from teachers.cache import layout
from teachers.cache.arrow_frame import assemble, frame
from teachers.cache.cache import LabelCache
from teachers.cache.config import CacheConfig
from teachers.cache.entry import Entry
from teachers.cache.generation import ShardRecord
from teachers.cache.row_table import RowTable
from teachers.cache.sealed import FORMAT, seal, unseal
from tests.teachers.cache.labels import key_of, keys_array, logits_of, write


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return LabelCache.open(CacheConfig(), tmp_path).entry(key_of())


def store_shard(entry: Entry, data: bytes) -> str:
    """Puts bytes where a shard of their digest belongs: a shard with a valid digest, whatever it holds."""
    entry.store.put_if_absent(layout.data_name(entry.id, digest(data)), data)
    return digest(data)


def shard_bytes(entry: Entry, rows: range) -> bytes:
    columns = {"row_key": keys_array(rows), **entry.shelf.codec.encode(logits_of(rows))}
    return assemble(entry.shelf.schema, columns)


def test_bytes_between_the_columns_and_the_end_are_refused(entry: Entry) -> None:
    data, around = shard_bytes(entry, range(10)), frame(entry.shelf.schema, 10)
    at = len(data) - len(around.trailer)
    smuggled = store_shard(entry, data[:at] + b"\0" * 4096 + data[at:])
    with pytest.raises(FormatError):
        entry.shelf.open(smuggled, rows=10)


def test_a_shard_with_other_rows_than_its_record_is_refused(entry: Entry) -> None:
    shard = store_shard(entry, shard_bytes(entry, range(10)))
    assert entry.shelf.open(shard, keys_array(range(10)))
    with pytest.raises(CorruptionError):
        entry.shelf.open(shard, keys_array(range(1, 11)))


def test_a_record_that_still_reads_well_is_refused_when_a_digit_changed() -> None:
    data = seal({"format": FORMAT, "rows": 17})
    assert unseal(data, "here")["rows"] == 17
    with pytest.raises(CorruptionError):
        unseal(data.replace(b"17", b"71"), "here")


def test_later_answers_are_recorded_as_hidden(entry: Entry) -> None:
    first, second = write(entry, range(10)), write(entry, range(5, 15), answer=1)
    entry.publish([first])
    entry.publish([second])
    shards = entry.ledger.state().shards
    assert shards[first.shard].hidden == ()
    assert shards[second.shard].hidden == (0, 1, 2, 3, 4)


def test_of_two_answers_in_one_publication_the_later_is_recorded_as_hidden(entry: Entry) -> None:
    first, second = write(entry, range(10)), write(entry, range(5, 15), answer=1)
    entry.publish([first, second])
    assert entry.ledger.state().shards[second.shard].hidden == (0, 1, 2, 3, 4)


def test_a_key_that_a_damaged_history_shows_twice_is_answered_by_the_first(entry: Entry) -> None:
    records = []
    for answer in (0, 1):
        receipt = write(entry, range(10), answer=answer)
        records.append(ShardRecord(receipt.shard, receipt.bytes, receipt.rows, receipt.unit, "".join(receipt.keys)))
    table = RowTable(records, entry.shelf)
    assert len(table.keys) == 10
    assert np.array_equal(table.locate(keys_array(range(10))), np.arange(10))
