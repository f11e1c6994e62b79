"""A small world for the tests of learning: rows, tables of teacher logits, and a job that trains in milliseconds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from foundation import registry
from pipelines.cached_source import CachedSource
from pipelines.loop import TrainingData, TrainJob
from pipelines.objective_config import ObjectiveConfig
from pipelines.train_config import TrainConfig

CLASSES = ("a", "b", "c", "d")
KNOWN = {"one": CLASSES, "two": ("d", "a"), "three": ("b", "c", "a")}


class TableReader:
    """A cache reader over an array: row i of the data has label i, unless it is in `absent`."""

    def __init__(self, table: np.ndarray, absent: tuple[int, ...] = ()) -> None:
        self.table, self.absent, self.taken = table, set(absent), 0

    def locate(self, keys_N: np.ndarray) -> np.ndarray:
        return np.array([-1 if row in self.absent else row for row in range(len(keys_N))], dtype=np.int64)

    def take(self, offsets: np.ndarray) -> np.ndarray:
        assert (offsets >= 0).all()
        self.taken += len(offsets)
        return self.table[offsets]


def readers(rows: int, absent: dict[str, tuple[int, ...]] | None = None) -> dict[str, TableReader]:
    draw = np.random.RandomState(7)
    tables = {name: 3 * draw.normal(size=(rows, len(known))).astype(np.float32) for name, known in KNOWN.items()}
    return {name: TableReader(table, (absent or {}).get(name, ())) for name, table in tables.items()}


def source(rows: int = 30, absent: dict[str, tuple[int, ...]] | None = None, **options: Any) -> CachedSource:
    return CachedSource(readers(rows, absent), KNOWN, np.zeros(rows, dtype="S16"), CLASSES, **options)


def world(rows: int = 30, labelled: int = 12, **options: Any) -> TrainingData:
    draw = np.random.RandomState(3)
    labels = np.full(rows, -1)
    labels[:labelled] = np.arange(labelled) % len(CLASSES)
    inputs = draw.normal(size=(rows, 5)).astype(np.float32)
    inputs[np.arange(rows), np.maximum(labels, 0)] += 2 * (labels >= 0)
    return TrainingData(
        torch.from_numpy(inputs),
        torch.from_numpy(labels),
        {"transfer": torch.arange(rows), "labelled": torch.arange(labelled)},
        CLASSES,
        source(rows, **options),
        {"side": torch.arange(rows) % 3},
    )


def objective(**distill: Any) -> ObjectiveConfig:
    term = {"rows": "transfer", "method": "kl", "lenses": [{"kind": "temperature", "value": 2.0}], "share": 0.7}
    labels = {"rows": "labelled", "method": "cross_entropy", "share": 0.3}
    return ObjectiveConfig.model_validate({"terms": {"distill": term | distill, "labels": labels}})


def job(
    epochs: int = 3, seed: int = 1, batch: int = 8, config: ObjectiveConfig | None = None, **options: Any
) -> TrainJob:
    fields = {"epochs": epochs, "batch": {"transfer": batch, "labelled": 5}, "schedule": "cosine"}
    fields["optimizer"] = {"kind": "adam", "lr": 0.02}
    student = options.pop("student", registry.load("student", "mlp").Options(hidden=(6,)))
    settings = TrainConfig.model_validate(fields)
    return TrainJob("toy", seed, student, config or objective(), settings, **options)
