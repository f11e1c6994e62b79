"""`report RUN RUN ...`: the students of several runs in one small table, each against the first run's.

Runs are paired over seeds only where they were measured by the same thing on the same rows with the same seeds;
otherwise the difference of the means is given without an interval.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from foundation.errors import DataError, FormatError
from orchestrator.report.build import REPORT_JSON
from orchestrator.report.compare import score_of
from orchestrator.report.files import read_json
from orchestrator.report.findings import percent, points
from orchestrator.report.schema import Report, Score
from pipelines.statistics import paired_interval

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class RunRow:
    """One run in the table. `difference` is against the first run, in fractions; None in the first row and where the
    runs are not measured by the same thing."""

    run: str
    folder: str
    metric: str
    mean: float
    std: float | None
    seeds: int
    best_single: float | None
    teachers: int
    trials: int
    controls_passed: bool | None
    difference: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class RunComparison:
    rows: tuple[RunRow, ...]

    def to_json(self) -> dict[str, Any]:
        return {"runs": [asdict(row) for row in self.rows]}

    def text(self) -> str:
        """A table for a terminal; control signs in names are removed."""
        head = ("run", "score", "best single", "against the first", "teachers", "trials", "controls")
        body = [head, *(_cells(row) for row in self.rows)]
        widths = [max(len(line[column]) for line in body) for column in range(len(head))]
        lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in body]
        return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def load_report(run_dir: Path) -> Report:
    """Reads and validates a stored report. Raises `FormatError` if it has another form."""
    path = run_dir / REPORT_JSON
    try:
        return Report.model_validate_json(json.dumps(read_json(path)))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise FormatError("A stored report has another form.", found=f"{place}: {first['msg']}", where=path) from None


def compare_runs(run_dirs: Sequence[Path]) -> RunComparison:
    """Compares the stored reports of at least two runs."""
    if len(run_dirs) < 2:
        raise DataError("A comparison needs at least two runs.", found=len(run_dirs))
    reports = [load_report(path) for path in run_dirs]
    return RunComparison(tuple(_row(path, one, reports[0]) for path, one in zip(run_dirs, reports, strict=True)))


def _score(report: Report, name: str) -> Score:
    return score_of(next(one for one in report.students if one.name == name), report.run.compared_by)


def _row(path: Path, report: Report, first: Report) -> RunRow:
    score, base = _score(report, report.run.focal), _score(first, first.run.focal)
    same = report.run.compared_by == first.run.compared_by
    paired = same and report.seeds == first.seeds and len(report.seeds) > 1 and _same_rows(report, first)
    difference = low = high = None
    if report is not first and same:
        difference = score.mean - base.mean
        if paired:
            difference, low, high = paired_interval(score.per_seed, base.per_seed)
    verdicts = [one.sensitive for one in report.controls.values()]
    single = report.run.best_single
    return RunRow(
        run=report.run.name,
        folder=path.name,
        metric=report.run.compared_by,
        mean=score.mean,
        std=score.std,
        seeds=len(report.seeds),
        best_single=_score(report, single).mean if single else None,
        teachers=len(report.teachers),
        trials=report.counters.trials,
        controls_passed=None if not verdicts or None in verdicts else all(verdicts),
        difference=difference,
        low=low,
        high=high,
    )


def _same_rows(one: Report, two: Report) -> bool:
    return (one.lineage.data, one.run.test, one.run.test_rows) == (two.lineage.data, two.run.test, two.run.test_rows)


def _cells(row: RunRow) -> tuple[str, ...]:
    spread = "" if row.std is None else f" ± {100 * row.std:.1f}"
    against = "" if row.difference is None else points(row.difference)
    if row.low is not None and row.high is not None:
        against += f" ({points(row.low)} to {points(row.high)})"
    controls = {True: "passed", False: "FAILED", None: "unknown"}[row.controls_passed]
    single = "" if row.best_single is None else percent(row.best_single)
    score = f"{100 * row.mean:.1f}{spread} % {row.metric}"
    return (_CONTROL.sub("?", row.folder), score, single, against, str(row.teachers), str(row.trials), controls)
