"""A tiny project for tests on real Ray: a Parquet file, teachers that are guest functions, a cache, a worker spec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foundation import registry
from orchestrator.cluster.config import PoolConfig
from orchestrator.cluster.labelling import PoolTask
from orchestrator.cluster.worker import WorkerSpec
from orchestrator.journal import Journal
from pipelines.data.config import DataConfig
from pipelines.data.dataset import Dataset, open_dataset
from teachers.build import card_of, context_for
from teachers.cache.cache import LabelCache
from teachers.cache.config import CacheConfig
from teachers.cache.entry import entry_key
from teachers.config import TeacherConfig
from teachers.label_plan import plan_units

CLASSES = ("a", "b", "c")
PLAIN = """
KIND = "function"
VERSION = "1"
import numpy as np
def answer(inputs):
    x = inputs["x"].astype(np.float64)
    return np.stack([x[:, 0], x[:, 1], SCALE * (x[:, 0] - x[:, 1])], axis=1).astype(np.float32)
"""


@dataclass
class Project:
    """Everything `label` needs, opened."""

    base_dir: Path
    data: DataConfig
    dataset: Dataset
    cache: CacheConfig
    teachers: dict[str, TeacherConfig]
    spec: WorkerSpec
    journal: Journal

    def tasks(self, **pool: object) -> list[PoolTask]:
        opened = LabelCache.open(self.cache, self.base_dir)
        out = []
        for name, key in self.spec.entry_keys().items():
            entry = opened.entry(key)
            wanted = self.dataset.positions("all")
            plan = plan_units(name, entry.id, self.dataset, wanted, entry.committed(), self.cache.unit_rows)
            out.append(PoolTask(name, PoolConfig(**pool), entry, plan.units))  # type: ignore[arg-type]
        return out

    def labels(self, teacher: str) -> tuple[np.ndarray, np.ndarray]:
        """Visible logits of all rows [N, C], and which rows have one."""
        entry = LabelCache.open(self.cache, self.base_dir).entry(self.spec.entry_keys()[teacher])
        return entry.reader().gather(self.dataset.keys)

    def expected(self, scale: float = 1.0) -> np.ndarray:
        x = self.dataset.inputs["x"].astype(np.float64)
        return np.stack([x[:, 0], x[:, 1], scale * (x[:, 0] - x[:, 1])], axis=1).astype(np.float32)


def make_project(
    folder: Path, sources: dict[str, str], *, rows: int = 60, unit_rows: int = 5, labelled: Sequence[int] = ()
) -> Project:
    """Writes the data and the guests' files and opens everything. Guest names have to differ between tests."""
    x = np.random.default_rng(0).normal(size=(rows, 2)).astype(np.float32).round(3)
    labels = [CLASSES[int(x[row, 0] > x[row, 1])] if row in set(labelled) else None for row in range(rows)]
    columns = {"x": pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), 2), "y": pa.array(labels, pa.string())}
    pq.write_table(pa.table(columns), folder / "data.parquet")
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)
        registry.add_guest_file(folder / f"{name}.py")
    data = DataConfig.model_validate(
        {
            "source": {"kind": "parquet", "path": "data.parquet"},
            "inputs": ["x"],
            "label": "y",
            "classes": CLASSES,
            "splits": {"labelled": {"labelled": True}},
        }
    )
    teachers = {
        name: TeacherConfig.model_validate({"backend": {"kind": "function", "function": name}}) for name in sources
    }
    cache = CacheConfig.model_validate({"unit_rows": unit_rows, "codec": {"kind": "dense", "dtype": "fp32"}})
    keys = {}
    for name, teacher in teachers.items():
        card = card_of(name, teacher, context_for(name, teacher, CLASSES, folder))
        keys[name] = entry_key(card, cache.codec)
    spec = WorkerSpec.of(data, cache, teachers, keys, base_dir=folder, run="test")
    return Project(folder, data, open_dataset(data, folder), cache, teachers, spec, Journal(folder / "run"))
