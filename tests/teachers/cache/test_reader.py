"""Hot and mapped reading give the same labels; offsets are located once."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from foundation.errors import DataError
from teachers.cache.entry import Entry
from teachers.cache.reader import LabelReader
from tests.teachers.cache.labels import keys_array, keys_of, logits_of, unit_of, write

ROWS = np.random.default_rng(1).permutation(1000)


@pytest.fixture(params=[0, 1 << 30], ids=["mapped", "hot"])
def reader(entry: Entry, request: pytest.FixtureRequest) -> LabelReader:
    receipts = [write(entry, range(start, start + 100)) for start in range(0, 500, 100)]
    receipts.append(write(entry, range(450, 750), answer=0))  # partly hidden, and its keys are not in the manifest
    entry.publish(receipts)
    records = tuple(entry.ledger.state().shards.values())
    assert [len(record.hidden) for record in records] == [0, 0, 0, 0, 0, 50]
    assert records[5].keys is None
    return LabelReader(entry.shelf, records, 10, hot_bytes=request.param)


def test_gather(reader: LabelReader) -> None:
    logits, present = reader.gather(keys_array(ROWS.tolist()))
    assert np.array_equal(present, ROWS < 750)
    assert np.array_equal(logits[present], logits_of(ROWS[present]))
    assert not logits[~present].any()
    assert logits.dtype == np.float32 and len(reader.keys) == 750


def test_locate_once_take_often(reader: LabelReader) -> None:
    offsets = reader.locate(keys_array(range(800)))
    assert (offsets[750:] == -1).all() and (offsets[:750] >= 0).all()
    for start in range(0, 750, 64):
        batch = np.arange(start, min(start + 64, 750))
        assert np.array_equal(reader.take(offsets[batch]), logits_of(batch))
    assert reader.take(np.empty(0, np.int64)).shape == (0, 10)


def test_missing_and_foreign_offsets_are_refused(reader: LabelReader) -> None:
    for wrong in (-1, 800, 10**9):
        with pytest.raises(DataError):
            reader.take(np.array([0, wrong]))


def test_a_pickled_reader_keeps_its_generation(entry: Entry, reader: LabelReader) -> None:
    packed = pickle.dumps(reader)
    offsets = reader.locate(keys_array(range(750)))
    entry.publish([write(entry, range(750, 800))])
    again = pickle.loads(packed)
    assert np.array_equal(again.locate(keys_array(range(800)))[:750], offsets)
    assert np.array_equal(again.take(offsets), logits_of(range(750)))
    assert len(again.keys) == 750


def test_fp32_labels_come_back_within_rounding(entry: Entry, reopen: object) -> None:
    from tests.teachers.cache.labels import key_of

    exact = Entry(entry.store, key_of(dtype="fp32"))
    random = np.random.default_rng(0).normal(size=(40, 10)).astype(np.float32)
    exact.publish([exact.write(unit_of(exact, range(40)), random, keys_of(range(40)))])
    logits, _ = exact.reader().gather(keys_array(range(40)))
    assert np.abs(logits - random).max() <= 2.0**-22
