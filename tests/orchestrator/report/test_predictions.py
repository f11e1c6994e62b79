"""Stored predictions: what comes back is what was stored, or an error that says why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from foundation.errors import CorruptionError, DataError, FormatError
from orchestrator.report.predictions import Predictions, has_predictions, path_of, read_predictions, write_predictions
from teachers.row_keys import from_bytes, row_keys, to_bytes


def some(rows: int = 7, classes: int = 3) -> Predictions:
    rng = np.random.default_rng(0)
    keys_N = row_keys({"x": np.arange(rows)})
    return Predictions(keys_N, rng.normal(size=(rows, classes)).astype(np.float32), np.arange(rows) % classes - 1)


def test_what_is_stored_comes_back(tmp_path: Path) -> None:
    given_ = some()
    write_predictions(tmp_path, "students", "searched", 3, given_)
    found = read_predictions(tmp_path, "students", "searched", 3)
    assert to_bytes(found.keys) == to_bytes(given_.keys)
    np.testing.assert_array_equal(found.logits_NC, given_.logits_NC)
    np.testing.assert_array_equal(found.labels_N, given_.labels_N)


def test_keys_that_end_in_zero_bytes_survive(tmp_path: Path) -> None:
    keys_N = from_bytes(bytes(15) + b"\1" + b"\1" + bytes(15))
    write_predictions(tmp_path, "teachers", "t", 0, Predictions(keys_N, np.zeros((2, 2)), np.zeros(2)))
    assert to_bytes(read_predictions(tmp_path, "teachers", "t").keys) == to_bytes(keys_N)


def test_equal_predictions_give_equal_bytes(tmp_path: Path) -> None:
    one = write_predictions(tmp_path / "a", "students", "s", 0, some()).read_bytes()
    assert one == write_predictions(tmp_path / "b", "students", "s", 0, some()).read_bytes()


@settings(max_examples=40)
@example(name=".")
@example(name="..")
@example(name="../x")
@given(name=st.text(min_size=1, max_size=20))
def test_no_name_leaves_its_folder(name: str) -> None:
    path = path_of(Path("/run"), "students", name, 1)
    assert path.parent.parent == Path("/run/predictions/students") and path.resolve() == path
    assert path.parent.name not in ("", ".", "..") and path.name == "1.arrow"


def test_students_and_teachers_of_one_name_are_apart() -> None:
    assert path_of(Path("r"), "students", "teacher:a") != path_of(Path("r"), "teachers", "teacher:a")


def test_any_flipped_bit_is_found_before_parsing(tmp_path: Path) -> None:
    path = write_predictions(tmp_path, "students", "s", 0, some())
    data = path.read_bytes()
    for place in range(0, len(data), 61):
        path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        with pytest.raises(CorruptionError) as caught:
            read_predictions(tmp_path, "students", "s", 0)
        assert caught.value.expected and caught.value.found and str(path) in str(caught.value)
    path.write_bytes(data[:-9])
    with pytest.raises(CorruptionError):
        read_predictions(tmp_path, "students", "s", 0)


def test_predictions_without_a_digest_do_not_exist_yet(tmp_path: Path) -> None:
    path = write_predictions(tmp_path, "students", "s", 0, some())
    path.with_suffix(".json").unlink()
    assert not has_predictions(tmp_path, "students", "s", 0)
    with pytest.raises(DataError, match="missing"):
        read_predictions(tmp_path, "students", "s", 0)


def test_a_damaged_or_foreign_digest_file_is_named(tmp_path: Path) -> None:
    sidecar = write_predictions(tmp_path, "students", "s", 0, some()).with_suffix(".json")
    sidecar.write_text("{")
    with pytest.raises(CorruptionError):
        read_predictions(tmp_path, "students", "s", 0)
    sidecar.write_text('{"format": 99}')
    with pytest.raises(FormatError):
        read_predictions(tmp_path, "students", "s", 0)


@pytest.mark.parametrize(
    ("logits", "labels"),
    [(np.full((2, 2), np.nan), np.zeros(2)), (np.zeros((2, 2)), np.zeros(3)), (np.zeros((3, 2)), np.zeros(2)),
     (np.array([[np.inf, 0], [0, 0]]), np.zeros(2)), (np.zeros((2, 0)), np.zeros(2))],
)  # fmt: skip
def test_values_that_cannot_be_predictions_are_refused(tmp_path: Path, logits: np.ndarray, labels: np.ndarray) -> None:
    keys_N = row_keys({"x": np.arange(2)})
    with pytest.raises(DataError):
        write_predictions(tmp_path, "students", "s", 0, Predictions(keys_N, logits, labels))
    assert not has_predictions(tmp_path, "students", "s", 0)
