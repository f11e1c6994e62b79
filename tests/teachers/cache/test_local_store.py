"""The local store: once written never replaced, nothing outside its root, a full disk said in plain words."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from foundation.errors import CorruptionError, StorageError, StorageFullError
from teachers.cache.store import open_store
from teachers.cache.stores.local import LocalStore
from tests.teachers.cache.labels import rows_shown
from tests.teachers.cache.processes import acked, open_entry, start


@pytest.fixture(params=[True, False], ids=["link", "in_place"])
def store(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
    if not request.param:

        def no_links(*_: object) -> None:
            raise PermissionError(errno.EPERM, "no links here")

        monkeypatch.setattr(os, "link", no_links)
    return LocalStore(str(tmp_path / "root"))


def test_objects_are_written_once(store: LocalStore) -> None:
    assert store.fetch("a/b") is None and store.open_map("a/b") is None and store.stat("a/b") is None
    assert store.list("a") == []
    assert store.put_if_absent("a/b", b"one")
    assert not store.put_if_absent("a/b", b"two")
    assert store.put_if_absent("a/c", b"")
    for read in (store.fetch, store.open_map):
        assert bytes((blob := read("a/b")).data) == b"one"  # type: ignore[union-attr]
        assert blob is not None and blob.stat == store.stat("a/b")
        assert bytes(read("a/c").data) == b""  # type: ignore[union-attr]
    assert store.list("a") == ["b", "c"] and store.list("") == ["a"]
    assert store.move("a/b", "q/b") and not store.move("a/b", "q/b")
    store.delete("q/b")
    store.delete("q/b")
    assert store.list("q") == [] and os.listdir(store.location + "/a") == ["c"]


def test_the_loser_leaves_the_winner_alone(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is taken after the first look: only the create-if-absent step itself can notice."""
    monkeypatch.setattr(os.path, "lexists", lambda path: False)
    assert store.put_if_absent("a/b", b"one")
    assert not store.put_if_absent("a/b", b"two")
    assert bytes(store.fetch("a/b").data) == b"one"  # type: ignore[union-attr]
    assert os.listdir(store.location + "/a") == ["b"]


@pytest.mark.parametrize(
    "name", ["../x", "a/../x", "/etc/passwd", "a//b", "", "a/", ".hidden", "a/é", "a\0b", "A", "a b", "x" * 300, "a/."]
)
def test_names_that_nobody_builds_are_refused(store: LocalStore, name: str) -> None:
    for call in (store.fetch, store.open_map, store.stat, store.delete, lambda n: store.put_if_absent(n, b"x")):
        with pytest.raises(StorageError):
            call(name)


def test_links_are_not_followed(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    store.put_if_absent("a/b", b"one")
    root = Path(store.location)
    (root / "a" / "c").symlink_to(tmp_path / "secret")
    (root / "out").symlink_to(tmp_path)
    for name in ("a/c", "out/secret"):
        for read in (store.fetch, store.open_map):
            with pytest.raises(StorageError):
                read(name)
    with pytest.raises(StorageError):
        store.put_if_absent("out/new", b"x")
    assert not store.put_if_absent("a/c", b"x")
    assert (tmp_path / "secret").read_bytes() == b"secret" and not (tmp_path / "new").exists()
    os.mkfifo(root / "a" / "pipe")
    with pytest.raises(CorruptionError):  # and it doesn't wait for a writer either
        store.fetch("a/pipe")


def test_a_folder_under_an_objects_name_is_damage(store: LocalStore) -> None:
    os.makedirs(store.location + "/a/b")
    with pytest.raises(StorageError):
        store.fetch("a/b")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_named_with_its_figures(store: LocalStore, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def full(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageFullError) as caught:
        store.put_if_absent("a/b", b"x" * 1234)
    assert (
        "1234 bytes" in str(caught.value) and "bytes free" in str(caught.value) and store.location in str(caught.value)
    )
    assert os.listdir(store.location + "/a") == []


def test_a_failing_disk_is_a_storage_error(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(StorageError) as caught:
        store.put_if_absent("a/b", b"x")
    assert not isinstance(caught.value, StorageFullError) and "a/b" in str(caught.value)


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(StorageError, match="no store") as caught:
        open_store("s4://bucket/prefix")
    assert caught.value.expected == "local"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


UNITS = [[first, 8] for first in range(0, 120, 8)]


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs")
def test_a_run_on_a_full_disk_keeps_what_it_had_and_goes_on(small_disk: Path) -> None:
    root = small_disk / "cache"
    notes = small_disk.parent
    job = {"root": str(root), "units": UNITS, "notes": str(notes)}
    assert start(notes, [job]) == [5 << 8]
    error = (notes / "error").read_text()
    assert "E-FULL" in error and "bytes free" in error and str(root) in error
    seen = rows_shown(open_entry(root, paranoid=True), range(120))
    assert 0 < len(seen) < 120 and acked(notes) <= seen
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert start(notes, [job]) == [0]
    assert rows_shown(open_entry(root, paranoid=True), range(120)) == set(range(120))


def test_a_file_size_limit_is_a_full_disk(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    limited = {"root": str(root), "units": UNITS, "file_size": 10_000}
    assert start(tmp_path, [limited]) == [5 << 8]
    error = (tmp_path / "error").read_text()
    assert "E-FULL" in error and "16930 bytes" in error and "bytes free" in error and "data/" in error
    assert start(tmp_path, [{**limited, "file_size": 0}]) == [0]
    assert rows_shown(open_entry(root, paranoid=True), range(120)) == set(range(120))
