"""The journal: the first record wins, damage is named, a crash in the middle leaves nothing half-written."""

from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path

import pytest

from foundation.errors import DataError, StorageError
from orchestrator.journal import Journal


def test_the_first_record_is_the_only_one(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal.put("trials", "a", {"score": 0.5})
    assert not journal.put("trials", "a", {"score": 0.7})
    assert journal.get("trials", "a") == {"score": 0.5}
    assert journal.get("trials", "b") is None
    assert journal.all("trials") == {"a": {"score": 0.5}}
    assert journal.all("loads") == {}
    assert pickle.loads(pickle.dumps(journal)).keys("trials") == ["a"]


@pytest.mark.parametrize("damage", [b"", b"{", b'{"digest": "00", "record": {"score": 0.5}}', b"[1]", b"\xff\xfe"])
def test_a_damaged_record_is_set_aside_and_named(tmp_path: Path, damage: bytes) -> None:
    journal = Journal(tmp_path)
    journal.put("trials", "a-b", {"score": 0.5})
    (tmp_path / "journal" / "trials" / "a-b.json").write_bytes(damage)
    assert journal.all("trials") == {}
    assert [(item.kind, item.key) for item in journal.damaged()] == [("trials", "a-b")]
    assert journal.put("trials", "a-b", {"score": 0.6})
    assert journal.get("trials", "a-b") == {"score": 0.6}


def test_what_a_dead_writer_left_is_not_a_record(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.put("trials", "a", {})
    (tmp_path / "journal" / "trials" / ".tmp-1-2").write_text("{")
    assert journal.keys("trials") == ["a"]


@pytest.mark.parametrize("key", ["", "..", "a/b", ".hidden", "a\nb", "x" * 300])
def test_keys_cannot_leave_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(StorageError):
        Journal(tmp_path).put("trials", key, {})


def test_values_that_are_not_stable_json_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        Journal(tmp_path).put("trials", "a", {"score": float("nan")})
    assert Journal(tmp_path).keys("trials") == []


def _race(folder: str, writer: int, won: multiprocessing.Queue[tuple[int, int]]) -> None:
    journal = Journal(Path(folder))
    for key in range(40):
        if journal.put("trials", f"k{key}", {"writer": writer}):
            won.put((key, writer))
    won.put((-1, writer))


def test_of_several_writers_exactly_one_wins_each_key(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    won: multiprocessing.Queue[tuple[int, int]] = context.Queue()
    writers = [context.Process(target=_race, args=(str(tmp_path), n, won)) for n in range(3)]
    for writer in writers:
        writer.start()
    claims: dict[int, int] = {}
    ended = 0
    while ended < len(writers):
        key, who = won.get(timeout=30)
        if key < 0:
            ended += 1
        else:
            assert key not in claims
            claims[key] = who
    for writer in writers:
        writer.join(timeout=10)
    assert {key: record["writer"] for key, record in Journal(tmp_path).all("trials").items()} == {
        f"k{key}": who for key, who in claims.items()
    }
    assert len(claims) == 40
