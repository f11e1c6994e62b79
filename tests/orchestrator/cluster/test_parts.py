"""The small parts without Ray: packing, checkpoints, finished students, the progress line, what a failure means."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from foundation.errors import CorruptionError, DataError, StorageError, StorageFullError, TeacherError
from orchestrator.cluster.actor import verdict
from orchestrator.cluster.checkpoints import Damaged, Found, newest_valid, repair_snapshot, write_checkpoint
from orchestrator.cluster.progress import ProgressReader, ProgressWriter
from orchestrator.cluster.students import StudentStore
from orchestrator.cluster.trials import make_trial
from orchestrator.cluster.wire import pack_receipt, pack_unit, unpack_receipt, unpack_unit
from pipelines.config_path import with_settings
from pipelines.loop import LoopState
from teachers.units import Receipt, Unit

KEYS = st.lists(st.binary(min_size=16, max_size=16).map(bytes.hex), max_size=8, unique=True).map(tuple)


@settings(max_examples=50)
@given(KEYS, st.integers(0, 2**40))
def test_units_and_receipts_survive_packing(keys: tuple[str, ...], first: int) -> None:
    unit = Unit("teacher", "entry", tuple(range(first, first + len(keys))), keys)
    assert unpack_unit(pack_unit(unit)) == unit
    receipt = Receipt(unit.id, "entry", "shard", 5, keys, tuple((key, "nan") for key in keys), 1, 2, "run")
    assert unpack_receipt(pack_receipt(receipt)) == receipt


def test_a_large_unit_stays_below_what_ray_sends_inline() -> None:
    keys = tuple(f"{row:032x}" for row in range(4096))
    unit = Unit("teacher", "e" * 64, tuple(range(4096)), keys)
    assert len(pickle.dumps(pack_unit(unit))) < 100_000
    assert len(pickle.dumps(pack_receipt(Receipt(unit.id, "e" * 64, "s" * 64, 5, keys)))) < 100_000


def state(epoch: int) -> LoopState:
    return LoopState({"model.w": torch.full((3,), float(epoch))}, 1, 0, epoch, 0, epoch)


def stored(storage: Path, count: int) -> list[Path]:
    folders = []
    for number in range(1, count + 1):
        folder = storage / f"checkpoint_{number}"
        folder.mkdir(parents=True)
        write_checkpoint(folder, "job", number, state(number))
        folders.append(folder)
    return folders


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("file", ["state.safetensors", "checkpoint.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "delete"])
def test_the_newest_valid_checkpoint_is_used(tmp_path: Path, file: str, damage: str) -> None:
    folders = stored(tmp_path, 4)
    for folder in folders[2:]:
        path = folder / file
        if damage == "flip":
            flip(path)
        elif damage == "delete":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[: 0 if damage == "empty" else -5])
    *damaged, found = newest_valid(tmp_path)
    assert isinstance(found, Found)
    assert (found.path, found.number) == (folders[1], 2)
    assert torch.equal(found.state.tensors["model.w"], torch.full((3,), 2.0))
    assert {item.path for item in damaged if isinstance(item, Damaged)} == set(folders[2:])


def test_a_checkpoint_cannot_pass_for_a_newer_one(tmp_path: Path) -> None:
    folders = stored(tmp_path, 3)
    facts = folders[0] / "checkpoint.json"
    facts.write_text(facts.read_text().replace('"number": 1', '"number": 9'))
    damaged, found = newest_valid(tmp_path)
    assert isinstance(damaged, Damaged) and damaged.path == folders[0]
    assert isinstance(found, Found) and found.path == folders[2]


def test_no_checkpoint_is_no_checkpoint(tmp_path: Path) -> None:
    assert list(newest_valid(tmp_path / "nothing")) == []
    [folder] = stored(tmp_path, 1)
    flip(folder / "state.safetensors")
    [damaged] = newest_valid(tmp_path)
    assert isinstance(damaged, Damaged) and "blake3" in damaged.reason


@pytest.mark.parametrize("content", ["{", '{"a": [{"checkpoint_dir_name": "checkpoint_9"}]}', ""])
def test_a_list_of_rays_that_would_stop_it_is_set_aside(tmp_path: Path, content: str) -> None:
    stored(tmp_path, 1)
    snapshot = tmp_path / "checkpoint_manager_snapshot.json"
    snapshot.write_text(content)
    damaged = repair_snapshot(tmp_path)
    assert damaged is not None and not snapshot.exists()
    assert repair_snapshot(tmp_path) is None
    snapshot.write_text('{"a": [{"checkpoint_dir_name": "checkpoint_1"}]}')
    assert repair_snapshot(tmp_path) is None and snapshot.exists()


def test_a_student_counts_only_whole_and_for_its_own_job(tmp_path: Path) -> None:
    store, student = StudentStore(tmp_path), nn.Linear(2, 3)
    assert not store.finished("teacher:a", 0, "job")
    store.commit("teacher:a", 0, student, "job", {"epochs": 5})
    assert store.finished("teacher:a", 0, "job")
    assert not store.finished("teacher:a", 0, "other job")
    assert not store.finished("teacher:a", 1, "job")
    assert torch.equal(store.load("teacher:a", 0)["weight"], student.weight)
    flip(store.weights("teacher:a", 0))
    assert not store.finished("teacher:a", 0, "job")
    with pytest.raises(CorruptionError):
        store.load("teacher:a", 0)
    store.weights("teacher:a", 0).with_suffix(".json").unlink()
    assert not store.finished("teacher:a", 0, "job")


@pytest.mark.parametrize("name", ["../a", "a/b", "", ".", "a\0b"])
def test_a_students_name_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError):
        StudentStore(tmp_path).weights(name, 0)


def test_half_a_line_spoils_nothing_but_itself(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    reader = ProgressReader(path)
    assert reader.new() == []
    ProgressWriter(path).tell({"n": 1})
    assert reader.new() == [{"n": 1}]
    with path.open("ab") as file:
        file.write(b'{"n": 2, "half')  # a writer is killed here
    assert reader.new() == []
    successor = ProgressWriter(path)
    successor.tell({"n": 3})
    assert reader.new() == [{"n": 3}]
    successor.tell_often({"n": 4})
    successor.tell_often({"n": 5})
    assert reader.new() == [{"n": 4}]


def test_what_a_failure_means() -> None:
    try:
        raise TeacherError("wrapped") from ValueError("a row it can't take")
    except TeacherError as error:
        assert verdict(error) == "retry"
    assert verdict(TeacherError("policy says no")) == "pool"
    assert verdict(DataError("other rows than planned")) == "pool"
    assert verdict(StorageFullError("full")) == "run"
    assert verdict(RuntimeError("foreign")) == "retry"


def test_settings_are_put_in_from_the_outside_in() -> None:
    tree = {"a": {"b": 1, "c": [{"d": 2}]}}
    assert with_settings(tree, {"a.c.0.d": 7, "a": {"b": 5, "c": [{"d": 0}]}}) == {"a": {"b": 5, "c": [{"d": 7}]}}
    assert tree == {"a": {"b": 1, "c": [{"d": 2}]}}


def test_equal_settings_have_equal_content_and_names_part_them() -> None:
    tree = {"a": 1.0}
    one, same = make_trial(tree, 0, "one", None, {"a": 2.0}), make_trial(tree, 5, "one", {"a": 2.0}, {"a": 2.0})
    assert (one.key, one.content) == (same.key, same.content)
    other = make_trial(tree, 0, "other", None, {"a": 2.0})
    assert other.content == one.content and other.key != one.key
    assert make_trial(tree, 0, "one", None, {"a": 3.0}).content != one.content
    assert json.loads(json.dumps(one.to_json())) == one.to_json()
    assert os.path.basename(one.key) == one.key
