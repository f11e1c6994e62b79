"""The order of writing: bytes reach the disk before their name does, and the name before anybody is told.

SIGKILL can't show this (a dead process's writes survive in the kernel), so the calls themselves are recorded.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.journal import Journal
from teachers.cache.store import open_store


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """('sync', inode) and ('link', inode of the linked file), in order."""
    seen: list[tuple[str, int]] = []
    fsync, link = os.fsync, os.link

    def recording_fsync(fd: int) -> None:
        seen.append(("sync", os.fstat(fd).st_ino))
        fsync(fd)

    def recording_link(source: str | Path, target: str | Path) -> None:
        seen.append(("link", os.stat(source).st_ino))
        link(source, target)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(os, "link", recording_link)
    return seen


def check_order(calls: list[tuple[str, int]], written: Path) -> None:
    file, folder = written.stat().st_ino, written.parent.stat().st_ino
    linked = calls.index(("link", file))
    assert ("sync", file) in calls[:linked], "the name came before the bytes"
    assert ("sync", folder) in calls[linked:], "the name was acknowledged before it was durable"


def test_a_journal_record_is_durable_before_it_is_acknowledged(tmp_path: Path, calls: list[tuple[str, int]]) -> None:
    journal = Journal(tmp_path)
    journal.put("trials", "first", {})  # makes the folders
    calls.clear()
    journal.put("trials", "second", {"score": 1})
    check_order(calls, tmp_path / "journal" / "trials" / "second.json")


def test_a_stored_object_is_durable_before_it_is_acknowledged(tmp_path: Path, calls: list[tuple[str, int]]) -> None:
    store = open_store(str(tmp_path))
    store.put_if_absent("entries/a/data/first", b"1")
    calls.clear()
    store.put_if_absent("entries/a/data/second", b"2")
    check_order(calls, tmp_path / "entries" / "a" / "data" / "second")


def test_a_new_folder_is_durable_in_its_parent(tmp_path: Path, calls: list[tuple[str, int]]) -> None:
    open_store(str(tmp_path)).put_if_absent("entries/a/data/first", b"1")
    for parent in ("", "entries", "entries/a"):
        assert ("sync", (tmp_path / parent).stat().st_ino) in calls
