"""The four sources give the same rows; broken, missing and hostile files are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from foundation.errors import DataError
from pipelines.data.config import DataConfig
from pipelines.data.dataset import Dataset, open_dataset

X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.5]], dtype=np.float32)
Y = ["cat", None, "dog"]


def read(tmp_path: Path, source: dict[str, Any]) -> Dataset:
    config = {"source": source, "inputs": ["x"], "label": "y", "classes": ["cat", "dog"]}
    return open_dataset(DataConfig.model_validate(config), tmp_path)


def write_all(folder: Path) -> dict[str, dict[str, Any]]:
    table = pa.table({"x": X.tolist(), "y": pa.array(Y).dictionary_encode(), "extra": [b"1", b"2", b"3"]})
    pq.write_table(table, folder / "a.parquet", row_group_size=2)
    with pa.ipc.new_file(folder / "file.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    with pa.ipc.new_stream(folder / "stream.arrow", table.schema) as writer:
        writer.write_table(table)
    np.savez(folder / "a.npz", x=X.astype(np.float64), y=np.array(["cat", "", "dog"]))
    return {
        "parquet": {"kind": "parquet", "path": "a.parquet"},
        "file": {"kind": "arrow", "path": "file.arrow"},
        "stream": {"kind": "arrow", "path": "stream.arrow"},
        "npz": {"kind": "numpy", "path": "a.npz"},
    }


def test_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    data = {name: read(tmp_path, source) for name, source in write_all(tmp_path).items()}
    for one in data.values():
        assert (one.inputs["x"] == X).all() and one.inputs["x"].dtype == np.float32
        assert one.labels_N.tolist() == [0, -1, 1]
        assert (one.keys == data["parquet"].keys).all()


@pytest.mark.parametrize("name", ["parquet", "file", "stream", "npz"])
def test_missing_and_broken_files(tmp_path: Path, name: str) -> None:
    source = write_all(tmp_path)[name]
    path = tmp_path / source["path"]
    whole = path.read_bytes()
    for broken in (b"", b"rubbish" * 20, whole[: len(whole) // 2]):
        path.write_bytes(broken)
        with pytest.raises(DataError, match="can't be read"):
            read(tmp_path, source)
    path.unlink()
    with pytest.raises(DataError, match="missing"):
        read(tmp_path, source)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (tmp_path.joinpath("exploded").mkdir, ())

    np.savez(tmp_path / "a.npz", x=X, y=np.array([Bomb(), None, None], dtype=object))
    with pytest.raises(DataError, match="dtype U"):
        read(tmp_path, {"kind": "numpy", "path": "a.npz"})
    assert not (tmp_path / "exploded").exists()


def test_images_keep_their_shape(tmp_path: Path) -> None:
    images = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    pq.write_table(pa.table({"x": images.tolist(), "y": Y}), tmp_path / "a.parquet")
    assert (read(tmp_path, {"kind": "parquet", "path": "a.parquet"}).inputs["x"] == images).all()


@pytest.mark.parametrize(
    ("name", "rows", "width", "classes"),
    [
        ("digits", 1797, 64, [str(digit) for digit in range(10)]),
        ("wine", 178, 13, ["class_0", "class_1", "class_2"]),
        ("breast_cancer", 569, 30, ["malignant", "benign"]),
        ("iris", 150, 4, ["setosa", "versicolor", "virginica"]),
    ],
)
def test_bundled_sets(name: str, rows: int, width: int, classes: list[str], tmp_path: Path) -> None:
    config = {
        "source": {"kind": "sklearn", "name": name, "shares": {"train": 0.7, "test": 0.3}, "seed": 3},
        "inputs": ["features"],
        "label": "label",
        "id": "row",
        "classes": classes,
        "split": {"column": "split"},
        "splits": {"train": {"values": ["train"]}, "test": {"values": ["test"]}},
        "disjoint": [["train", "test"]],  # iris has two equal rows: they must fall into one part
    }
    data = open_dataset(DataConfig.model_validate(config), tmp_path)
    assert data.inputs["features"].shape == (rows, width) and (data.labels_N >= 0).all()
    assert abs(len(data.positions("train")) / rows - 0.7) < 0.02


@pytest.mark.parametrize("seed", range(12))
def test_equal_rows_fall_into_one_part(seed: int, tmp_path: Path) -> None:
    config = {
        "source": {"kind": "sklearn", "name": "iris", "shares": {"a": 0.5, "b": 0.5}, "seed": seed},
        "inputs": ["features"],
        "classes": ["setosa", "versicolor", "virginica"],
        "split": {"column": "split"},
        "splits": {"a": {"values": ["a"]}, "b": {"values": ["b"]}},
        "disjoint": [["a", "b"]],
    }
    open_dataset(DataConfig.model_validate(config), tmp_path)
