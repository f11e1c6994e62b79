"""Writing, publishing, reading and recovering: the life of an entry without faults."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foundation.errors import CorruptionError, DataError, TeacherError
from teachers.cache import layout
from teachers.cache.entry import Entry
from teachers.row_keys import to_hex
from tests.teachers.cache.labels import keys_array, keys_of, logits_of, rows_shown, unit_of, write

ROWS = range(100)


def test_nothing_is_touched_before_the_first_write(entry: Entry, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    committed = entry.committed()
    assert (committed.generation, committed.rows, committed.shards, committed.bytes) == (0, 0, 0, 0)
    assert entry.publish([]) == 0
    assert entry.recover() == [] and entry.receipts() == [] and entry.audit() == []
    assert rows_shown(entry, ROWS) == set()
    assert sorted(tmp_path.rglob("*")) == before


def test_labels_are_visible_once_published(entry: Entry, reopen: Callable[..., Entry]) -> None:
    receipt = write(entry, range(40), run="r1", attempt=2, seconds=1.5, batch_size=8)
    assert rows_shown(reopen(), ROWS) == set()
    assert entry.publish([receipt]) == 1
    for fresh in (entry, reopen()):
        assert rows_shown(fresh, ROWS) == set(range(40))
        committed = fresh.committed()
        assert (committed.generation, committed.rows, committed.shards) == (1, 40, 1)
        assert to_hex(committed.keys) == list(keys_of(range(40)))
        assert committed.bytes == receipt.bytes
    assert reopen().receipts() == [receipt]


def test_publishing_twice_writes_nothing(entry: Entry) -> None:
    receipt = write(entry, range(10))
    assert entry.publish([receipt, receipt], covers=["c1"]) == 1
    assert entry.publish([receipt], covers=["c1"]) == 1
    assert layout.generations_in(entry.store, entry.id) == [1]


def test_a_second_writer_rebases(entry: Entry, reopen: Callable[..., Entry]) -> None:
    other = reopen()
    assert other.committed().generation == 0  # what it knows is old from here on
    entry.publish([write(entry, range(10))])
    assert other.publish([write(other, range(10, 20))]) == 2
    assert rows_shown(entry, ROWS) == set(range(20))


@pytest.mark.parametrize("rows", [range(10, 20), range(5, 15)], ids=["other_rows", "some_the_same"])
def test_a_race_lost_in_the_last_moment_is_decided_anew(
    entry: Entry, reopen: Callable[..., Entry], rows: range
) -> None:
    """The other writer commits between our look at the newest generation and our own put."""
    other, ours = write(reopen(), range(10)), write(entry, rows)
    put = entry.store.put_if_absent

    def beaten(name: str, data: bytes) -> bool:
        if "/manifest/" in name:
            entry.store.put_if_absent = put  # type: ignore[method-assign]
            assert reopen().publish([other]) == 1
        return put(name, data)

    entry.store.put_if_absent = beaten  # type: ignore[method-assign]
    assert entry.publish([ours]) == 2
    assert rows_shown(reopen(), ROWS) == set(range(10)) | set(rows)
    assert reopen().committed().rows == len(set(range(10)) | set(rows))


def test_a_lost_reply_is_not_a_second_commit(entry: Entry, reopen: Callable[..., Entry]) -> None:
    receipt = write(entry, range(10))
    put = entry.store.put_if_absent
    entry.store.put_if_absent = lambda name, data: put(name, data) and "/manifest/" not in name  # type: ignore[method-assign]
    assert entry.publish([receipt]) == 1
    assert layout.generations_in(entry.store, entry.id) == [1]


def test_a_receipt_that_lies_about_its_rows_is_found(entry: Entry, reopen: Callable[..., Entry]) -> None:
    receipt = write(entry, range(4))
    entry.publish([replace(receipt, keys=keys_of([0, 1, 3, 2]))])
    with pytest.raises(CorruptionError, match="other rows"):
        reopen().reader().gather(keys_array(range(4)))
    assert [damage.name for damage in reopen().audit()] == [receipt.shard]


def test_the_first_committed_answer_stays(entry: Entry, reopen: Callable[..., Entry]) -> None:
    other = reopen()
    first, second = write(entry, range(10)), write(other, range(5, 15), answer=1)
    entry.publish([first])
    other.publish([second])
    logits, present = reopen().reader().gather(keys_array(range(15)))
    assert present.all()
    assert np.array_equal(logits[:10], logits_of(range(10)))
    assert np.array_equal(logits[10:], logits_of(range(10, 15), answer=1))
    committed = reopen().committed()
    assert committed.rows == 15 and len(set(to_hex(committed.keys))) == 15
    assert reopen().recover() == []


def test_of_two_answers_in_one_publication_the_first_wins(entry: Entry) -> None:
    receipts = [write(entry, range(10), answer=0), write(entry, range(10), answer=1)]
    entry.publish(receipts)
    logits, _ = entry.reader().gather(keys_array(range(10)))
    assert np.array_equal(logits, logits_of(range(10)))
    assert entry.committed().rows == 10


def test_equal_labels_of_two_runs_are_one_shard_and_two_receipts(entry: Entry) -> None:
    receipts = [write(entry, range(10), run="r1"), write(entry, range(10), run="r2")]
    assert receipts[0].shard == receipts[1].shard
    assert entry.publish(receipts) == 1
    assert len(entry.receipts()) == 2 and entry.committed().shards == 1


def test_quarantined_rows_are_told_and_a_later_label_wins(entry: Entry) -> None:
    keys = keys_of(range(10))
    aside = ((keys[3], "NaN"), (keys[7], "worker died three times"))
    kept = [row for row in range(10) if row not in (3, 7)]
    receipt = entry.write(unit_of(entry, range(10)), logits_of(kept), keys_of(kept), quarantined=aside)
    entry.publish([receipt])
    assert entry.committed().quarantined == dict(aside)
    assert rows_shown(entry, ROWS) == set(kept)
    entry.publish([write(entry, [3])])
    assert entry.committed().quarantined == {keys[7]: "worker died three times"}


def test_a_unit_without_any_label_has_no_shard(entry: Entry) -> None:
    keys = keys_of(range(2))
    receipt = entry.write(unit_of(entry, range(2)), np.empty((0, 10)), (), quarantined=[(key, "NaN") for key in keys])
    assert (receipt.shard, receipt.bytes, receipt.rows) == ("", 0, 0)
    assert entry.recover() == [receipt]
    entry.publish([receipt])
    assert set(entry.committed().quarantined) == set(keys)
    assert entry.recover() == [] and entry.audit(paranoid=True) == []


def test_covers_are_kept_until_rows_are_removed(entry: Entry, reopen: Callable[..., Entry]) -> None:
    receipt = write(entry, range(10))
    entry.publish([receipt], covers=["c1", "c2"])
    entry.publish([write(entry, range(10, 20))])
    assert reopen().committed().covers == {"c1", "c2"}
    stale = reopen()
    stale.committed()
    name = layout.data_name(entry.id, receipt.shard)
    entry.store.move(name, layout.quarantine_name(entry.id, name))
    assert sum(entry.set_aside(damage) for damage in entry.audit(paranoid=True)) == 10
    assert reopen().committed().covers == frozenset()
    stale.publish([], covers=["c1"])  # it decided on what it knew before the removal
    assert reopen().committed().covers == frozenset()


def test_generations_fold_and_opening_reads_few_of_them(entry: Entry, reopen: Callable[..., Entry]) -> None:
    for start in range(90):
        entry.publish([write(entry, [start])])
    fresh = reopen()
    names: list[str] = []
    fetch = fresh.store.fetch
    fresh.store.fetch = lambda name: (names.append(name), fetch(name))[1]  # type: ignore[method-assign]
    assert fresh.committed().rows == 90
    assert len([name for name in names if "/manifest/" in name]) <= 64
    assert rows_shown(reopen(), ROWS) == set(range(90))


def test_orphans_of_every_kind_are_recovered(entry: Entry, reopen: Callable[..., Entry]) -> None:
    with_receipt = write(entry, range(10))
    without = write(entry, range(10, 20))
    for stem in layout.receipts_in(entry.store, entry.id):
        if stem.startswith(without.unit):
            entry.store.delete(layout.receipt_name(entry.id, stem))
    fresh = reopen()
    found = fresh.recover()
    assert [receipt.shard for receipt in found] == [with_receipt.shard, without.shard]
    assert found[1].unit == without.unit and found[1].keys == without.keys
    fresh.publish(found)
    assert rows_shown(reopen(), ROWS) == set(range(20))
    assert reopen().recover() == []
    assert sum(receipt.rows for receipt in reopen().receipts()) == 20


def test_a_recovered_receipt_yields_to_the_late_original(entry: Entry) -> None:
    """The worker stored its shard and was slow to write the receipt, while a driver recovered: nothing counts twice."""
    original = write(entry, range(10))
    for stem in layout.receipts_in(entry.store, entry.id):
        entry.store.delete(layout.receipt_name(entry.id, stem))
    entry.publish(entry.recover())
    assert entry.receipts()[0].extra == {"recovered": True}
    write(entry, range(10))
    assert entry.receipts() == [original]


def test_damaged_orphans_are_left_alone(entry: Entry, tmp_path: Path) -> None:
    receipt = write(entry, range(10))
    path = tmp_path / "cache" / layout.data_name(entry.id, receipt.shard)
    path.write_bytes(path.read_bytes()[:-1])
    assert entry.recover() == []
    with pytest.raises(CorruptionError, match="not what its receipt says"):
        entry.publish([receipt])
    assert entry.committed().rows == 0
    again = write(entry, range(10), attempt=2)  # read-back finds the damage and makes room
    assert again.shard == receipt.shard
    entry.publish([again])
    assert rows_shown(entry, ROWS) == set(range(10))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 7e4])
def test_values_the_codec_cannot_hold_are_never_stored(entry: Entry, value: float) -> None:
    logits = logits_of(range(4))
    logits[2, 5] = value
    with pytest.raises(TeacherError) as caught:
        entry.write(unit_of(entry, range(4)), logits, keys_of(range(4)))
    assert keys_of([2])[0] in str(caught.value)
    assert layout.shards_in(entry.store, entry.id) == []


def test_rows_that_are_not_the_units_are_refused(entry: Entry) -> None:
    unit, keys, logits = unit_of(entry, range(4)), keys_of(range(4)), logits_of(range(4))
    with pytest.raises(DataError, match="not the rows of the unit"):
        entry.write(unit, logits[:3], keys[:3])
    with pytest.raises(DataError, match="not the rows of the unit"):
        entry.write(unit, logits, (*keys[:3], keys[0]))
    with pytest.raises(DataError, match="wrong shape"):
        entry.write(unit, logits[:3], keys)
    with pytest.raises(DataError, match="wrong shape"):
        entry.write(unit, logits[:, :9], keys)


def test_entries_travel(entry: Entry) -> None:
    entry.publish([write(entry, range(10))])
    entry.committed()
    assert rows_shown(pickle.loads(pickle.dumps(entry)), ROWS) == set(range(10))
