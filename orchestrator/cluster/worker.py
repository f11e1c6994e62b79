"""What every worker process does first: take the guests in, read the run's configuration, open data and cache itself.

A worker is told where things are (`WorkerSpec`, a few kilobytes), never handed inputs or labels. Opened things are
kept for the life of the process, so that hundreds of trials in one reused process read the data once.
No Ray in here: the same functions serve the driver and tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import foundation
from foundation import registry
from foundation.errors import ClusterError
from foundation.registry import Guest
from foundation.shadow import check_not_shadowed
from pipelines.data.config import DataConfig
from pipelines.data.dataset import Dataset, open_dataset
from teachers.build import context_for, load_teacher
from teachers.cache.cache import LabelCache
from teachers.cache.config import CacheConfig
from teachers.cache.entry import Entry
from teachers.cache.entry_key import EntryKey
from teachers.config import TeacherConfig
from teachers.host import TeacherHost
from teachers.prepare import Prepared, check_reproduces

if TYPE_CHECKING:
    from pipelines.training_data import TrainingData


@dataclass(frozen=True)
class WorkerSpec:
    """All a worker has to be told. Hashable, picklable, free of secrets (the configuration holds references only).

    Attributes:
        config: JSON of the sections `data`, `cache` and `teachers`.
        entries: JSON of the cache entry's key parts by teacher name; a run fixes them when it plans.
        base_dir: folder that relative paths start from, the same on every host.
        guests: the user's plug-in files.
        run: id of the run, for receipts.
        root: where the driver's own packages lie.
    """

    config: str
    entries: str
    base_dir: str
    guests: tuple[Guest, ...]
    run: str
    root: str

    @classmethod
    def of(
        cls,
        data: DataConfig,
        cache: CacheConfig,
        teachers: Mapping[str, TeacherConfig],
        entries: Mapping[str, EntryKey],
        *,
        base_dir: Path,
        run: str,
    ) -> WorkerSpec:
        """Collects a spec from the sections of a configuration; guests are those of this process."""
        sections = {
            "data": data.model_dump(mode="json"),
            "cache": cache.model_dump(mode="json"),
            "teachers": {name: teacher.model_dump(mode="json") for name, teacher in teachers.items()},
        }
        parts = {name: key.parts() for name, key in entries.items()}
        guests = registry.guests()
        return cls(json.dumps(sections), json.dumps(parts), str(base_dir), guests, run, package_root())

    def section(self, name: str) -> Any:
        return json.loads(self.config)[name]

    def entry_keys(self) -> dict[str, EntryKey]:
        """Keys of the entries by teacher name, in the order of the configuration."""
        found = {name: EntryKey(**parts) for name, parts in json.loads(self.entries).items()}
        return {name: found[name] for name in self.section("teachers") if name in found}


def package_root() -> str:
    """The folder that holds the import packages of this process."""
    return str(Path(str(foundation.__file__)).resolve().parents[1])


def enter(spec: WorkerSpec, *, same_machine: bool = True) -> None:
    """Makes the process fit for work. Raises `PluginError` when a foreign package shadows one of ours, `ClusterError`
    when this host has another copy of raydistill."""
    check_not_shadowed()
    if same_machine and package_root() != spec.root:
        raise ClusterError(
            "A worker found another copy of raydistill than the driver's.",
            expected=f"packages from {spec.root}",
            found=package_root(),
            next_step="remove the other copy from PYTHONPATH, or start from another directory",
        )
    registry.install(spec.guests)


@lru_cache(maxsize=2)
def dataset_of(spec: WorkerSpec) -> Dataset:
    """Opens the run's data, once per process."""
    return open_dataset(DataConfig.model_validate(spec.section("data")), Path(spec.base_dir))


def entry_of(spec: WorkerSpec, teacher: str) -> Entry:
    """Returns the cache entry of a teacher; reads nothing yet."""
    config = CacheConfig.model_validate(spec.section("cache"))
    return LabelCache.open(config, Path(spec.base_dir), create=False).entry(spec.entry_keys()[teacher])


def open_host(
    spec: WorkerSpec, teacher: str, batch_size: int, prepared: Prepared | None, device: str = "cpu"
) -> TeacherHost:
    """Loads (or fits) a teacher and returns its host.

    Raises what loading raises, and `TeacherError` when this host's teacher doesn't repeat the prepared answers.
    """
    config = TeacherConfig.model_validate(spec.section("teachers")[teacher])
    dataset = dataset_of(spec)
    context = context_for(teacher, config, dataset.classes, Path(spec.base_dir), dataset, device)
    loaded = load_teacher(teacher, config, context)
    if prepared is not None:
        check_reproduces(prepared, loaded, dataset)
    policy = CacheConfig.model_validate(spec.section("cache")).nonfinite
    entry = entry_of(spec, teacher)
    return TeacherHost(teacher, loaded, dataset, entry, nonfinite=policy, batch_size=batch_size, run=spec.run)


def training_data(spec: WorkerSpec, row_sets: Iterable[str], groups: Iterable[str] = ()) -> TrainingData:
    """Returns the run's data as tensors with the cached labels of all its teachers; kept for the process's life."""
    return _training_data(spec, tuple(row_sets), tuple(groups))


@lru_cache(maxsize=2)
def _training_data(spec: WorkerSpec, row_sets: tuple[str, ...], groups: tuple[str, ...]) -> TrainingData:
    from pipelines.cached_source import CachedSource
    from pipelines.training_data import TrainingData

    dataset = dataset_of(spec)
    keys = spec.entry_keys()
    source = None
    if keys:
        readers = {name: entry_of(spec, name).reader() for name in keys}
        classes = {name: tuple(key.teacher["classes"]) for name, key in keys.items()}
        missing = CacheConfig.model_validate(spec.section("cache")).missing
        source = CachedSource(readers, classes, dataset.keys, dataset.classes, missing=missing)
    return TrainingData.of(dataset, row_sets, source, groups=groups)
