"""What a report is made from, besides predictions: the small files the stages of a run leave in its folder.

One model per file, one writer and one reader for all. Stages call `write_input`; the report calls `read_inputs`.
Reading is as strict as the configuration is: an unknown key or a NaN is an error that names the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError

from foundation.errors import FormatError
from foundation.model import StrictModel
from orchestrator.files import write_atomic, write_json
from orchestrator.report.files import read_json

StudentKind = Literal[
    "labels_only", "single", "plain_mean", "plain_mean_tuned", "searched", "oracle", "control", "other"
]


class RosterStudent(StrictModel):
    """One student that was trained over all seeds.

    `weights` are normalised to sum 1 over the teachers; `teachers` are those it listened to (none: labels only).
    `bytes` is the size of its weights as stored, `seconds_per_row` its measured latency; both optional.
    """

    name: str
    kind: StudentKind
    teachers: tuple[str, ...] = ()
    temperature: float | None = None
    weights: dict[str, float] = {}
    label_share: float | None = None
    validation_score: float | None = None
    trial: str | None = None
    parameters: int
    bytes: int | None = None
    seconds_per_row: float | None = None
    reference: bool = False


class TeacherInfo(StrictModel):
    """One teacher. `bytes` is the size of its weights, or of what it is fitted from where it has no weight file."""

    name: str
    classes: tuple[str, ...]
    fingerprint: str
    entry: str
    seconds_per_row: float | None = None
    bytes: int | None = None
    rows: int = 0


class TrialRecord(StrictModel):
    """One finished trial of the search. `name` is set for the points that were enqueued. Higher scores are better."""

    key: str
    name: str | None = None
    params: dict[str, float | int | str | bool | None] = {}
    temperature: float | None = None
    weights: dict[str, float] = {}
    label_share: float | None = None
    score: float | None = None
    metrics: dict[str, float | None] = {}
    epochs: int = 0
    status: str = "done"


class SearchRecord(StrictModel):
    """The search as a whole: `dimensions` are the searched parameters' names, `budget` what it was allowed."""

    trials: int = 0
    dimensions: tuple[str, ...] = ()
    budget: dict[str, float | int | str | None] = {}
    metric: str = "accuracy"
    rows: str = ""
    chosen: str | None = None


class Counters(StrictModel):
    """Summed from receipts and journals over all attempts of the run; never from process variables."""

    teacher_loads: int
    rows_labelled: int
    rows_reused: int
    trials: int
    teacher_rows_during_search: int
    actor_deaths: int
    rows_quarantined: int


class LineageEntry(StrictModel):
    """The cache entry one teacher's labels came from, at the generation that was read."""

    teacher: str
    entry: str
    generation: int
    shards: int
    rows: int
    bytes: int
    shard_digests: tuple[str, ...] = ()


class Lineage(StrictModel):
    """Which bytes the run was made from."""

    run: str
    data: str
    chunk_digests: tuple[str, ...] = ()
    rows: dict[str, int] = {}
    entries: tuple[LineageEntry, ...] = ()


class Context(StrictModel):
    """What else the reader of a report wants to know. `test` names the row set; `classes` are the data's."""

    name: str
    classes: tuple[str, ...]
    seeds: tuple[int, ...]
    test: str = "test"
    command: str = ""
    versions: dict[str, str] = {}
    inputs: tuple[str, ...] = ()
    student: str = ""


class Timings(StrictModel):
    """Wall-clock seconds per stage, in order."""

    seconds: dict[str, float] = {}


class Roster(StrictModel):
    students: tuple[RosterStudent, ...]


class Teachers(StrictModel):
    teachers: tuple[TeacherInfo, ...] = Field(min_length=1)


Input = Roster | Teachers | SearchRecord | Counters | Lineage | Context | Timings
_FILES: dict[type[Input], str] = {
    Roster: "roster.json",
    Teachers: "teachers.json",
    SearchRecord: "search.json",
    Counters: "counters.json",
    Lineage: "lineage.json",
    Context: "context.json",
    Timings: "timings.json",
}
_TRIALS = "trials.jsonl"
_Model = TypeVar("_Model", Roster, Teachers, SearchRecord, Counters, Lineage, Context, Timings)


@dataclass(frozen=True)
class Inputs:
    """All of a run folder's small files, read."""

    roster: tuple[RosterStudent, ...]
    teachers: tuple[TeacherInfo, ...]
    search: SearchRecord | None
    trials: tuple[TrialRecord, ...]
    counters: Counters
    lineage: Lineage
    context: Context
    timings: Timings
    config: str


def write_input(run_dir: Path, value: Input) -> Path:
    """Writes one input file atomically and returns its path; the model decides the name."""
    path = run_dir / _FILES[type(value)]
    write_json(path, value.model_dump(mode="json"))
    return path


def write_trials(run_dir: Path, trials: Iterable[TrialRecord]) -> Path:
    """Writes `trials.jsonl`, one trial per line in the order in which they finished."""
    lines = [json.dumps(one.model_dump(mode="json"), sort_keys=True, ensure_ascii=False) for one in trials]
    write_atomic(run_dir / _TRIALS, "".join(f"{line}\n" for line in lines).encode())
    return run_dir / _TRIALS


def read_inputs(run_dir: Path) -> Inputs:
    """Reads everything but the predictions. `search.json` and `trials.jsonl` may be absent (a run without search)."""
    config = run_dir / "config.yaml"
    return Inputs(
        roster=_read(run_dir, Roster).students,
        teachers=_read(run_dir, Teachers).teachers,
        search=_read(run_dir, SearchRecord) if (run_dir / _FILES[SearchRecord]).is_file() else None,
        trials=_read_trials(run_dir / _TRIALS),
        counters=_read(run_dir, Counters),
        lineage=_read(run_dir, Lineage),
        context=_read(run_dir, Context),
        timings=_read(run_dir, Timings) if (run_dir / _FILES[Timings]).is_file() else Timings(),
        config=config.read_text(encoding="utf-8") if config.is_file() else "",
    )


def _read(run_dir: Path, model: type[_Model]) -> _Model:
    path = run_dir / _FILES[model]
    value = read_json(path)
    try:
        return model.model_validate_json(json.dumps(value))
    except ValidationError as error:
        raise _malformed(error, path) from None


def _read_trials(path: Path) -> tuple[TrialRecord, ...]:
    if not path.is_file():
        return ()
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            found.append(TrialRecord.model_validate_json(line))
        except ValidationError as error:
            raise _malformed(error, f"{path}:{number}") from None
    return tuple(found)


def _malformed(error: ValidationError, where: Path | str) -> FormatError:
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the file as a whole"
    return FormatError("A file of the run folder has another form.", found=f"{place}: {first['msg']}", where=where)
