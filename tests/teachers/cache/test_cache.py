"""Roots and entries: keys, neighbours, foreign folders, odd names, and a root of format 1.0 that stays readable."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from foundation.errors import FormatError, StorageError
from foundation.registry import names
from teachers.cache import layout
from teachers.cache.cache import LabelCache
from teachers.cache.config import CacheConfig
from teachers.cache.entry import EntryKey
from teachers.units import Unit
from tests.teachers.cache.labels import key_of, rewrite, rows_shown, write

FIXTURE = Path(__file__).parent / "fixtures" / "format_1_0"


def test_a_key_has_one_id_and_names_its_differences() -> None:
    key, other = key_of("a"), key_of("b", dtype="fp32")
    assert key.id == key_of("a").id != other.id
    assert key.differences(key_of("a")) == []
    assert key.differences(other) == [
        ("teacher.architecture.function", "a", "b"),
        ("output.codec.dtype", "fp16", "fp32"),
    ]
    without = EntryKey(**{**key.parts(), "numerics": {}})
    assert ("numerics.dtype", "float32", None) in key.differences(without)


def test_the_id_of_a_key_never_changes() -> None:
    assert key_of("a").id == "e100a48ca9d2db9b02eb922e1ef83006a448dd2a5e5c94b664f3e47966c6d96d"


def test_entries_and_the_nearest_one(cache: LabelCache) -> None:
    assert cache.entries() == [] and cache.nearest(key_of()) is None
    for key in (key_of("a"), key_of("a", dtype="fp32")):
        entry = cache.entry(key)
        entry.publish([write(entry, range(4))])
    assert {entry.id for entry in cache.entries()} == {key_of("a").id, key_of("a", dtype="fp32").id}
    found = cache.nearest(key_of("b", dtype="fp32"))
    assert found is not None
    assert (found[0].key, found[1]) == (key_of("a", dtype="fp32"), [("teacher.architecture.function", "b", "a")])
    assert cache.damaged_entries() == []


def test_a_damaged_entry_record_is_named_and_made_anew(cache: LabelCache, tmp_path: Path) -> None:
    cache.entry(key_of()).publish([write(cache.entry(key_of()), range(4))])
    path = tmp_path / "cache" / layout.entry_name(key_of().id)
    good = path.read_bytes()
    path.write_bytes(good[:-5])
    assert cache.entries() == []
    [error] = cache.damaged_entries()
    assert str(path) in str(error)
    write(cache.entry(key_of()), range(4, 8))
    assert path.read_bytes() == good and len(cache.entries()) == 1


def test_an_entry_under_another_name_is_damage(cache: LabelCache, tmp_path: Path) -> None:
    write(cache.entry(key_of()), range(4))
    (tmp_path / "cache" / "entries" / key_of().id).rename(tmp_path / "cache" / "entries" / ("0" * 64))
    assert cache.entries() == [] and len(cache.damaged_entries()) == 1


def test_nothing_is_created_unless_asked(tmp_path: Path) -> None:
    cache = LabelCache.open(CacheConfig(root="deep/er"), tmp_path, create=False)
    assert cache.entries() == [] and list(tmp_path.iterdir()) == []
    LabelCache.open(CacheConfig(root="deep/er"), tmp_path)
    assert [path.name for path in (tmp_path / "deep" / "er").iterdir()] == ["format.json"]


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "thesis.tex").write_text("")
    for create in (True, False):
        with pytest.raises(FormatError, match="not a label cache"):
            LabelCache.open(CacheConfig(), tmp_path, create=create)


@pytest.mark.parametrize("root", ["Ünïcödé 🎓", "a\u202eb", "n\u0303", "ñ", "CON", "with space", "x" * 250])
def test_odd_root_names_work(tmp_path: Path, root: str) -> None:
    entry = LabelCache.open(CacheConfig(root=root), tmp_path).entry(key_of())
    entry.publish([write(entry, range(4))])
    fresh = LabelCache.open(CacheConfig(root=root), tmp_path).entry(key_of())
    assert rows_shown(fresh, range(8)) == set(range(4))


@pytest.mark.parametrize("teacher", ["../../x", "/etc", "a\0b", "a\nb", "🎓", "x" * 5000, "file:///etc/passwd"])
def test_odd_texts_in_a_key_never_reach_a_path(cache: LabelCache, tmp_path: Path, teacher: str) -> None:
    entry = cache.entry(key_of(teacher))
    with opened_files() as opened:
        unit = Unit(teacher, entry.id, (0,), ("0" * 32,))
        entry.publish([entry.write(unit, np.empty((0, 10)), (), quarantined=[("0" * 32, teacher)])])
        assert cache.entries()[0].key == key_of(teacher)
    assert entry.committed().quarantined == {"0" * 32: teacher}
    assert [path for path in opened if not path.startswith(str(tmp_path))] == []


def test_names_in_stored_records_never_become_paths(cache: LabelCache, tmp_path: Path) -> None:
    """A manifest whose digest is right may still have been made up by somebody else."""
    entry = cache.entry(key_of())
    entry.publish([write(entry, range(4))])
    path = next((tmp_path / "cache").glob("entries/*/manifest/*"))
    for evil in ("../" * 8 + "etc/passwd", "/etc/passwd", "file:///etc/passwd", "s3://other/x", "a" * 63):
        rewrite(path, lambda body: body["change"]["added"][0].update(shard=evil))  # noqa: B023
        with opened_files() as opened, pytest.raises(StorageError):
            cache.entry(key_of()).reader().gather(entry.committed().keys)
        assert [name for name in opened if not name.startswith(str(tmp_path))] == []


@contextmanager
def opened_files() -> Iterator[list[str]]:
    """Every path that Python opens meanwhile (audit hooks can't be removed, so this one goes to sleep)."""
    opened: list[str] = []
    awake = True

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if awake and event == "open" and isinstance(arguments[0], str) and not arguments[0].endswith((".py", ".pyc")):
            opened.append(arguments[0])

    sys.addaudithook(hook)
    try:
        yield opened
    finally:
        awake = False


def test_the_configuration_refuses_nonsense() -> None:
    assert CacheConfig().codec.kind == "dense" and names("codec") == ["dense"]
    given = CacheConfig.model_validate({"codec": {"kind": "dense", "dtype": "fp32"}, "unit_rows": 40})
    assert given.codec.model_dump() == {"kind": "dense", "dtype": "fp32"}
    for wrong in ({"codec": "zip"}, {"unit_rows": 0}, {"nonfinite": "ignore"}, {"root": ""}, {"colour": 1}):
        with pytest.raises(ValidationError):
            CacheConfig.model_validate(wrong)


def test_a_root_of_format_1_0_is_read_for_ever(tmp_path: Path) -> None:
    """Written once by the first version; never regenerate it. It must be read, and written on."""
    root = tmp_path / "cache"
    shutil.copytree(FIXTURE, root)
    told = json.loads((FIXTURE.parent / "format_1_0.json").read_text())
    cache = LabelCache.open(CacheConfig(), tmp_path, paranoid=True)
    assert [entry.id for entry in cache.entries()] == [told["entry"]]
    entry = cache.entries()[0]
    assert entry.key == key_of()
    committed = entry.committed()
    assert (committed.generation, committed.rows, committed.covers) == (20, 25, {"c1"})
    assert list(committed.quarantined.values()) == ["NaN"]
    assert rows_shown(entry, range(30)) == set(range(25))
    assert entry.audit(paranoid=True) == [] and len(entry.receipts()) == 21
    assert entry.recover() == []
    entry.publish([write(entry, range(25, 30))])
    assert rows_shown(entry, range(30)) == set(range(30))
