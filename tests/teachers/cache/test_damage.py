"""F19, F20, F34: whatever happens to stored bytes, a reader gives right values or an error, never a wrong value."""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from foundation.errors import CorruptionError, FormatError, StorageError
from foundation.fingerprint import digest
from teachers.cache import layout
from teachers.cache.arrow_frame import assemble
from teachers.cache.entry import Entry
from teachers.row_keys import from_hex
from teachers.units import Receipt
from tests.teachers.cache.labels import keys_array, keys_of, logits_of, rows_shown, write
from tests.teachers.cache.processes import open_entry

ROWS = range(40)


def shard_paths(root: Path) -> list[Path]:
    return sorted((root / "entries").glob("*/data/*.arrow"))


def flip(path: Path, position: int, bit: int = 0, *, keep_times: bool = False) -> None:
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    with path.open("r+b") as file:
        file.write(data)
    if keep_times:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_2000_mutations_never_give_a_wrong_value(stored: Path) -> None:
    rng = random.Random(5)
    paths = [path for path in stored.rglob("*") if path.is_file()]
    originals = {path: path.read_bytes() for path in paths}
    found, began = {"refused": 0, "fewer": 0, "same": 0}, time.process_time()
    for _ in range(2000):
        path = rng.choice(paths)
        data = bytearray(originals[path])
        at = rng.randrange(len(data))
        kind = rng.choice(("flip", "flip", "cut", "zero", "grow", "copy"))
        if kind == "flip":
            data[at] ^= 1 << rng.randrange(8)
        elif kind == "cut":
            del data[at:]
        elif kind == "zero":
            data[at : at + 4096] = bytes(len(data[at : at + 4096]))
        elif kind == "grow":
            data += b"\0"
        else:
            data = bytearray(originals[rng.choice(paths)])
        path.write_bytes(data)
        try:
            shown = rows_shown(open_entry(stored), ROWS)  # compares every value
            found["same" if shown == set(ROWS) else "fewer"] += 1
        except StorageError as error:
            assert error.where
            found["refused"] += 1
        path.write_bytes(originals[path])
    assert time.process_time() - began < 20
    assert found["refused"] > 300 and found["fewer"] > 300, found


def test_every_part_of_a_shard_is_covered_by_the_digest(stored: Path) -> None:
    path = shard_paths(stored)[0]
    size = path.stat().st_size
    for position in (0, 8, 100, 500, 4095, 4096, 4224, 8192, 12288, 12319, 12330, size - 300, size - 11, size - 1):
        flip(path, position)
        with pytest.raises(CorruptionError) as caught:
            open_entry(stored).reader().gather(keys_array(ROWS))
        assert path.stem in str(caught.value) and "blake3" in str(caught.value.found)
        flip(path, position)
    assert rows_shown(open_entry(stored), ROWS) == set(ROWS)


def test_a_flip_that_changes_no_times_is_found_by_paranoid_only(stored: Path) -> None:
    path = shard_paths(stored)[0]
    flip(path, 8193, bit=1, keep_times=True)  # inside the logits
    logits, _ = open_entry(stored).reader().gather(keys_array(ROWS))
    assert not np.array_equal(logits, logits_of(ROWS)), "trusted: this is the stated limit of the memory"
    assert open_entry(stored).audit() == []
    with pytest.raises(CorruptionError) as caught:
        open_entry(stored, paranoid=True).reader().gather(keys_array(ROWS))
    changed = digest(path.read_bytes())
    assert path.stem in (caught.value.expected or "") and changed in (caught.value.found or "")
    damages = open_entry(stored).audit(paranoid=True)
    assert [(damage.kind, damage.name, damage.rows) for damage in damages] == [("shard", path.stem, 8)]


def test_a_trusted_shard_with_a_damaged_frame_is_named_as_damaged(stored: Path) -> None:
    flip(shard_paths(stored)[0], 40, keep_times=True)
    with pytest.raises(CorruptionError, match="changed since it was verified"):
        open_entry(stored).reader().gather(keys_array(ROWS))


def test_a_damaged_shard_is_set_aside_and_only_its_rows_are_missing(stored: Path) -> None:
    path = shard_paths(stored)[0]
    flip(path, 9000)
    entry = open_entry(stored)
    [damage] = entry.audit()
    assert (damage.name, damage.rows) == (path.stem, 8)
    assert damage.expected.endswith(path.stem) and damage.found.startswith("blake3 ")
    assert entry.set_aside(damage) == 8
    assert entry.set_aside(damage) == 0
    missing = set(ROWS) - rows_shown(open_entry(stored), ROWS)
    assert len(missing) == 8 and entry.recover() == [] and entry.audit(paranoid=True) == []
    assert len(list(stored.glob("entries/*/quarantine/*"))) == 1
    entry.publish([write(entry, sorted(missing), attempt=2)])
    assert path.exists()  # the same labels, so the same name
    assert rows_shown(open_entry(stored, paranoid=True), ROWS) == set(ROWS)


def test_a_shard_mended_meanwhile_is_not_set_aside(stored: Path) -> None:
    path = shard_paths(stored)[0]
    flip(path, 9000)
    entry = open_entry(stored)
    [damage] = entry.audit()
    flip(path, 9000)
    assert entry.set_aside(damage) == 0
    assert rows_shown(entry, ROWS) == set(ROWS)


def test_a_hidden_answer_comes_back_when_the_visible_one_is_lost(entry: Entry, tmp_path: Path) -> None:
    first, twin = write(entry, range(8), answer=1), write(entry, range(8), answer=0)
    entry.publish([first])
    entry.publish([twin])
    path = tmp_path / "cache" / layout.data_name(entry.id, first.shard)
    path.unlink()
    [damage] = entry.audit()
    assert damage.found == "no file" and entry.set_aside(damage) == 8
    assert rows_shown(entry, range(8)) == set()
    entry.publish(entry.recover())
    assert rows_shown(entry, range(8)) == set(range(8))
    assert entry.recover() == []


def test_swapped_objects_are_found(stored: Path) -> None:
    for folder in ("data", "manifest", "receipts"):
        one, two = sorted(stored.glob(f"entries/*/{folder}/*"))[:2]
        first, second = one.read_bytes(), two.read_bytes()
        one.write_bytes(second)
        two.write_bytes(first)
        kinds = {damage.kind for damage in open_entry(stored).audit()}
        assert kinds == {{"data": "shard", "manifest": "generation", "receipts": "receipt"}[folder]}
        one.write_bytes(first)
        two.write_bytes(second)


def test_a_damaged_generation_is_skipped_named_and_healed(stored: Path) -> None:
    paths = sorted(stored.glob("entries/*/manifest/*"))
    flip(paths[2], 300)
    paths[1].unlink()
    entry = open_entry(stored)
    committed = entry.committed()
    assert committed.rows == 24
    assert ["generation 3" in committed.damaged[0], "generation 2" in committed.damaged[1]] == [True, True]
    for damage in entry.audit():
        entry.set_aside(damage)
    entry.publish(entry.recover())
    fresh = open_entry(stored)
    assert fresh.committed().damaged == () and fresh.audit(paranoid=True) == []
    assert rows_shown(fresh, ROWS) == set(ROWS)


def test_the_newest_generation_is_lost_without_a_trace(stored: Path) -> None:
    sorted(stored.glob("entries/*/manifest/*"))[-1].unlink()
    entry = open_entry(stored)
    assert len(rows_shown(entry, ROWS)) == 32
    entry.publish(entry.recover())
    assert rows_shown(entry, ROWS) == set(ROWS)


def test_a_damaged_receipt_blocks_counting_until_it_is_set_aside(stored: Path) -> None:
    flip(sorted(stored.glob("entries/*/receipts/*"))[0], 200)
    entry = open_entry(stored)
    with pytest.raises(CorruptionError):
        entry.receipts()
    [damage] = entry.audit()
    assert damage.kind == "receipt" and entry.set_aside(damage) == 0
    assert len(entry.receipts()) == 4 and rows_shown(entry, ROWS) == set(ROWS)


def test_a_hostile_shard_with_a_valid_digest_is_refused(entry: Entry, tmp_path: Path) -> None:
    """F34: the digest proves who wrote the bytes down, not that they mean anything."""
    write(entry, range(8))
    good = shard_paths(tmp_path / "cache")[0].read_bytes()
    columns = {
        "row_key": from_hex(keys_of(range(8))),
        "logits": np.full((8, 10), np.nan, "<f2"),
        "max": np.zeros(8, "<f4"),
    }
    other_schema = bytearray(good)
    other_schema[good.index(b"row_key")] = ord("w")
    hostile = (assemble(entry.shelf.schema, columns), good + bytes(4096), bytes(other_schema), b"", b"ARROW1")
    for data in hostile:
        shard = digest(data)
        entry.store.put_if_absent(layout.data_name(entry.id, shard), data)
        receipt = Receipt("0" * 32, entry.id, shard, len(data), keys_of(range(8)))
        with pytest.raises(FormatError):
            entry.shelf.open(shard, from_hex(receipt.keys), rows=8)
        assert shard not in {found.shard for found in entry.recover()}


def test_a_copy_of_a_root_is_verified_again(stored: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "cache"
    shutil.copytree(stored, copy)  # the memory is copied too, and doesn't fit the new files
    flip(shard_paths(copy)[0], 9000)
    with pytest.raises(CorruptionError):
        open_entry(copy).reader().gather(keys_array(ROWS))
