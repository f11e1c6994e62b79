"""What would a run do? Pure: configuration, data and what is committed -> stages, units, rows, bytes. Touches nothing.

For every teacher that isn't cached the plan names the stored entry that comes nearest and the parts of its key that
differ, so that a surprising miss explains itself.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foundation.fingerprint import fingerprint
from orchestrator.config.load import LoadedConfig
from orchestrator.config.root import RunConfig
from orchestrator.roster import baselines
from orchestrator.run_folder import RunPaths, default_folder
from pipelines.data.dataset import Dataset, open_dataset
from teachers.build import card_of, context_for
from teachers.cache.cache import LabelCache
from teachers.cache.codec import Codec
from teachers.cache.entry import entry_key
from teachers.label_plan import NOTHING, LabelPlan, plan_units
from teachers.units import Unit

_SHOWN = 48
# Where these differ the nearest entry is another teacher, not this one changed: a list of differences is noise.
_ANOTHER = {f"teacher.architecture.{part}" for part in ("backend", "estimator", "function", "module")}


@dataclass(frozen=True)
class TeacherPlan:
    """What is to be done for one teacher.

    `differences`: (part of the key, here, in the nearest stored entry); empty on a hit and in an empty cache.
    """

    name: str
    entry: str
    rows_new: int
    rows_reused: int
    rows_duplicate: int
    rows_quarantined: int
    units: int
    bytes_new: int
    actors: int
    nearest: str | None
    differences: tuple[tuple[str, Any, Any], ...]
    work: tuple[Unit, ...]
    labels: LabelPlan

    def changes(self) -> tuple[tuple[str, Any, Any], ...]:
        """The differences that say something to people: those from a stored entry of the same sort of teacher."""
        return () if _ANOTHER & {part for part, _, _ in self.differences} else self.differences

    def to_json(self) -> dict[str, Any]:
        facts = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("work", "labels")}
        return {**facts, "differences": [list(difference) for difference in self.differences]}


@dataclass(frozen=True)
class StagePlan:
    """One stage and, in words, what it would do."""

    stage: str
    what: str


@dataclass(frozen=True)
class Plan:
    """The whole plan. `fingerprint` decides the run folder's name."""

    name: str
    fingerprint: str
    run_dir: Path
    rows: int
    stages: tuple[StagePlan, ...]
    teachers: tuple[TeacherPlan, ...]

    @property
    def rows_new(self) -> int:
        return sum(teacher.rows_new for teacher in self.teachers)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "run_dir": str(self.run_dir),
            "rows": self.rows,
            "rows_new": self.rows_new,
            "stages": [asdict(stage) for stage in self.stages],
            "teachers": [teacher.to_json() for teacher in self.teachers],
        }

    def text(self) -> str:
        """A table for people."""
        width = max(7, *(len(teacher.name) for teacher in self.teachers))
        lines = [f"{self.name} ({self.fingerprint[:12]}), {self.rows} rows", ""]
        lines.append(f"  {'teacher':{width}}     new  reused  equal  units      bytes")
        for one in self.teachers:
            row = f"{one.rows_new:7} {one.rows_reused:7} {one.rows_duplicate:6} {one.units:6} {one.bytes_new:10}"
            lines.append(f"  {one.name:{width}} {row}")
            if one.rows_quarantined:
                lines.append(f"  {'':{width}} {one.rows_quarantined} rows were set aside earlier")
            for part, mine, theirs in one.changes():
                told = f"{part} is {_short(mine)}, cached is {_short(theirs)}"
                lines.append(f"  {'':{width}} not reused: {told} (entry {str(one.nearest)[:12]})")
        lines += ["", *(f"  {stage.stage:10} {stage.what}" for stage in self.stages)]
        return "\n".join(lines)


def plan_of(loaded: LoadedConfig, *, paranoid: bool = False) -> Plan:
    """Opens data and cache for reading and plans. Raises `DataError` or `StorageError` where they can't be read."""
    dataset = open_dataset(loaded.config.data, loaded.base_dir)
    dataset.check_disjoint()
    cache = LabelCache.open(loaded.config.cache, loaded.base_dir, create=False, paranoid=paranoid)
    return make_plan(loaded, dataset, cache, data=data_identity(dataset))


def data_identity(dataset: Dataset) -> str:
    """Returns 64 hex digits over the rows' content in order: other rows make another run."""
    return fingerprint({"chunks": dataset.chunk_digests()})


def make_plan(loaded: LoadedConfig, dataset: Dataset, cache: LabelCache, **decides: str) -> Plan:
    """Returns the plan.

    Args:
        loaded: the configuration.
        dataset: its data.
        cache: its cache, opened without creating it.
        decides: further fingerprints of what decides results, as for `RunFolder.open`.
    """
    config = loaded.config
    wanted = wanted_positions(config, dataset)
    teachers = tuple(_teacher_plan(name, loaded, dataset, wanted, cache) for name in config.teachers)
    identity = loaded.identity(**decides)
    run_dir = default_folder(loaded, identity)
    return Plan(config.name, identity, run_dir, len(dataset), _stages(config, teachers, run_dir), teachers)


def wanted_positions(config: RunConfig, dataset: Dataset) -> np.ndarray:
    """Returns the positions of all rows to be labelled, int64 [M], ascending, each once."""
    return np.unique(np.concatenate([dataset.positions(name) for name in config.label.rows]))


def _teacher_plan(
    name: str, loaded: LoadedConfig, dataset: Dataset, wanted: np.ndarray, cache: LabelCache
) -> TeacherPlan:
    config = loaded.config
    teacher = config.teachers[name]
    context = context_for(name, teacher, config.data.classes, loaded.base_dir, dataset)
    key = entry_key(card_of(name, teacher, context), config.cache.codec)
    entry = cache.entry(key)
    committed = entry.committed()
    labels = plan_units(
        name, key.id, dataset, wanted, committed if committed.generation else NOTHING, config.cache.unit_rows
    )
    nearest, differences = None, tuple[tuple[str, Any, Any], ...]()
    if not committed.generation and (found := cache.nearest(key)) is not None and found[1]:
        nearest, differences = found[0].id, tuple(found[1])
    schema = Codec(config.cache.codec).schema(key.num_classes)
    row_bytes = sum(column.row_bytes for column in schema.columns)
    return TeacherPlan(
        name=name,
        entry=key.id,
        rows_new=labels.rows_new,
        rows_reused=labels.rows_reused,
        rows_duplicate=labels.rows_duplicate,
        rows_quarantined=len(labels.quarantined),
        units=len(labels.units),
        bytes_new=labels.rows_new * row_bytes,
        actors=min(teacher.pool.max, len(labels.units)),
        nearest=nearest,
        differences=differences,
        work=labels.units,
        labels=labels,
    )


def _stages(config: RunConfig, teachers: tuple[TeacherPlan, ...], run_dir: Path) -> tuple[StagePlan, ...]:
    busy = [one for one in teachers if one.rows_new]
    fitted = [one.name for one in busy if config.teachers[one.name].fit is not None]
    rows = sum(one.rows_new for one in busy)
    paths = RunPaths(run_dir)
    told = {
        "plan": "this",
        "prepare": f"fit {', '.join(fitted)}" if fitted else "nothing to fit",
        "preflight": f"one small batch for {len(busy)} teachers" if busy else "nothing to check",
        "label": f"{rows} answers in {sum(one.units for one in busy)} units" if busy else "everything is cached",
        "search": _search(config),
        "train": f"{len(config.compare.seeds)} seeds, {config.train.epochs} epochs, {config.train.workers} worker(s)",
        "evaluate": f"predictions on {config.compare.test!r}",
        "controls": "shuffled and constant teachers",
        "report": "report.json, report.html, model_card.md",
        "export": "the searched student" if config.search is not None else "the configured student",
    }
    return tuple(
        StagePlan(name, f"{what} (done)" if paths.mark(name).exists() else what) for name, what in told.items()
    )


def _search(config: RunConfig) -> str:
    if config.search is None:
        return "none configured"
    first = len({one.name for one in baselines(config.tree())})
    trials, sampled = max(config.search.trials, first), max(config.search.trials - first, 0)
    told = f"{trials} trials ({first} baselines, {sampled} from the space), {config.search.folds} folds each"
    return told if sampled else f"{told}; for a search give search.trials more than {first}"


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
