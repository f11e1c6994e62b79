"""Row sets, labels, ids and fitting rows of a data set, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from foundation.errors import DataError
from pipelines.data.config import DataConfig
from pipelines.data.dataset import Dataset, open_dataset


def columns(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "x": pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]], pa.list_(pa.float32(), 2)),
        "y": ["cat", None, "dog", "cat"],
        "name": ["a", "b", "c", "d"],
        "office": ["dog", "dog", None, "cat"],
        "part": ["train", "train", "train", "test"],
    }
    return {**base, **changes}


def config(path: str = "rows.parquet", **changes: Any) -> DataConfig:
    base: dict[str, Any] = {
        "source": {"kind": "parquet", "path": path},
        "inputs": ["x"],
        "label": "y",
        "id": "name",
        "side": ["office"],
        "classes": ["cat", "dog"],
        "split": {"column": "part"},
        "splits": {"train": {"values": ["train"]}, "known": {"labelled": True}, "test": {"values": ["test"]}},
        "disjoint": [["train", "test"]],
    }
    return DataConfig.model_validate({**base, **changes})


def opened(tmp_path: Path, table: dict[str, Any], **changes: Any) -> Dataset:
    pq.write_table(pa.table(table), tmp_path / "rows.parquet")
    return open_dataset(config(**changes), tmp_path)


def test_columns_become_float32_labels_become_indices(tmp_path: Path) -> None:
    data = opened(tmp_path, columns())
    assert data.inputs["x"].dtype == np.float32 and data.inputs["x"].shape == (4, 2)
    assert data.labels_N.tolist() == [0, -1, 1, 0] and data.labels_N.dtype == np.int64
    assert data.ids.tolist() == ["a", "b", "c", "d"] and data.side["office"].tolist() == ["dog", "dog", None, "cat"]
    assert data.keys.dtype == np.dtype("S16") and len(set(data.keys.tolist())) == 4
    assert data.take(np.array([2, 0]))["x"].tolist() == [[5.0, 6.0], [1.0, 2.0]]


def test_row_sets(tmp_path: Path) -> None:
    data = opened(tmp_path, columns())
    assert data.positions("all").tolist() == [0, 1, 2, 3]
    assert data.positions("train").tolist() == [0, 1, 2]
    assert data.positions("known").tolist() == [0, 2, 3]
    assert data.positions("test").tolist() == [3]
    with pytest.raises(DataError, match="did you mean 'train'"):
        data.positions("trian")


def test_unlabelled_rows_can_be_asked_for(tmp_path: Path) -> None:
    data = opened(tmp_path, columns(), splits={"new": {"labelled": False}}, disjoint=[])
    assert data.positions("new").tolist() == [1]


def test_an_empty_row_set_is_an_error_when_it_is_used(tmp_path: Path) -> None:
    data = opened(tmp_path, columns(y=[None] * 4), disjoint=[])
    with pytest.raises(DataError, match="empty"):
        data.positions("known")


@pytest.mark.parametrize("values", [[3, 1, 2, 1], [3.0, 1.0, None, 1.0]])
def test_whole_numbers_are_class_names_too(tmp_path: Path, values: list[Any]) -> None:
    data = opened(tmp_path, columns(y=values), classes=[1, 2, 3], side=[])
    assert data.classes == ("1", "2", "3")
    assert data.labels_N.tolist() == [{3: 2, 1: 0, 2: 1, None: -1}[value] for value in values]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"y": ["cat", None, "dgo", "cat"]}, "did you mean 'dog'"),
        ({"y": [["cat"]] * 4}, "one value per row"),
        ({"y": [0.5, 1.0, 1.0, 1.0]}, "neither text nor a whole number"),
        ({"name": ["a", "b", "a", "d"]}, "rows 0 and 2"),
        ({"name": ["a", None, "c", "d"]}, "no id"),
        ({"x": [[1.0, 2.0], [3.0], [5.0, 6.0], [7.0, 8.0]]}, "1 values in row 1"),
        ({"x": [[1.0, 2.0], None, [5.0, 6.0], [7.0, 8.0]]}, "null in row 1"),
        ({"x": [1.0, float("nan"), 2.0, 3.0]}, r"first row 1 \(id b\)"),
        ({"x": [1.0, float("inf"), 2.0, 3.0]}, "not a finite number"),
        ({"x": [1.0, 1e300, 2.0, 3.0]}, "not a finite number"),
        ({"x": [1, 2, 3, 2**24 + 1]}, "round"),
        ({"x": [1.0, None, 2.0, 3.0]}, "null"),
        ({"x": ["a", None, "b", "c"]}, "null"),
        ({"x": [b"a", b"b", b"c", b"d"]}, "type that isn't read"),
        ({"part": ["trani", "trani", "trani", "test"]}, "did you mean 'trani'"),
    ],
)
def test_bad_columns_are_refused(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError) as caught:
        opened(tmp_path, columns(**change), side=[])
    assert says.replace("\\", "") in str(caught.value)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("change", [{"inputs": ["xx"]}, {"label": "yy"}, {"side": ["offices"]}, {"id": "names"}])
def test_a_missing_column_names_the_nearest(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="did you mean"):
        opened(tmp_path, columns(), **change)


def test_shared_content_between_disjoint_sets_is_an_error(tmp_path: Path) -> None:
    table = columns(x=pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [3.0, 4.0]], pa.list_(pa.float32(), 2)))
    with pytest.raises(DataError, match="ids b and d"):
        opened(tmp_path, table)
    assert len(opened(tmp_path, table, disjoint=[])) == 4  # equal rows as such are legal


def test_minus_zero_is_zero(tmp_path: Path) -> None:
    data = opened(tmp_path, columns(x=[0.0, -0.0, 1.0, 2.0]))
    assert data.keys[0] == data.keys[1]


def test_fitting_rows_depend_on_content_only(tmp_path: Path) -> None:
    first = opened(tmp_path, columns()).fitting_rows("train", "office", ("dog",))
    assert sorted(first.inputs["x"][:, 0].tolist()) == [1.0, 3.0] and first.labels.tolist() == ["dog", "dog"]
    order = [3, 1, 2, 0]
    table = pa.table(columns()).take(order)
    pq.write_table(table, tmp_path / "turned.parquet")
    second = open_dataset(config("turned.parquet"), tmp_path).fitting_rows("train", "office", ("dog",))
    assert second.digest == first.digest and (second.inputs["x"] == first.inputs["x"]).all()
    labels = [["dog", "cat", "dog", "cat"], ["cat", "dog", "dog", "cat"]]  # equal rows, other labels
    both = [opened(tmp_path, columns(office=one)).fitting_rows("train", "office", ("cat", "dog")) for one in labels]
    assert (both[0].inputs["x"] == both[1].inputs["x"]).all() and both[0].digest != both[1].digest


def test_fitting_rows_of_the_label_column_need_every_class(tmp_path: Path) -> None:
    data = opened(tmp_path, columns())
    assert data.fitting_rows("train", "y", ("cat", "dog")).labels.tolist().count("cat") == 1
    with pytest.raises(DataError, match="office = cat"):
        data.fitting_rows("train", "office", ("cat", "dog"))
    with pytest.raises(DataError, match="did you mean 'office'"):
        data.fitting_rows("train", "offce", ("cat",))


def test_chunk_digests_see_every_row(tmp_path: Path) -> None:
    first = opened(tmp_path, columns()).chunk_digests()
    other = columns(x=pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 9.0]], pa.list_(pa.float32(), 2)))
    assert len(first) == 1 and opened(tmp_path, other).chunk_digests() != first


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ["cat"]},
        {"classes": ["cat", "cat"]},
        {"inputs": []},
        {"inputs": ["x", "x"]},
        {"inputs": ["x", "y"]},
        {"disjoint": [["train", "nope"]]},
        {"split": None},
        {"label": None},
        {"splitz": {}},
        {"source": {"kind": "parquett", "path": "a"}},
    ],
)
def test_configurations_that_make_no_sense(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(**change)
