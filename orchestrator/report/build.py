"""The report as data: everything in it is computed here from files of the run folder, so `recompute` can do it again.

Reads inputs and predictions (`gather`), measures (`measures`, `panel`), compares (`compare`), says it in words
(`findings`). How it looks is left to `html` and `model_card`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.files import write_atomic, write_json
from orchestrator.report.compare import Measure, best_single, compare_roster, judge
from orchestrator.report.findings import findings, headline
from orchestrator.report.gather import Gathered, gather
from orchestrator.report.inputs import TeacherInfo
from orchestrator.report.measures import calibration, student_reports
from orchestrator.report.panel import agreement_report, ensemble_report, teacher_reports
from orchestrator.report.schema import (
    REPORT_FORMAT,
    Calibration,
    Cost,
    HistoryPoint,
    Report,
    RunFacts,
    SearchReport,
    StudentReport,
)

REPORT_JSON, REPORT_HTML, MODEL_CARD = "report.json", "report.html", "model_card.md"


def build(run_dir: Path) -> dict[str, Any]:
    """Returns the report of a finished run as JSON values, from stored files only; writes nothing.

    Raises `DataError` if something is missing or doesn't fit, `CorruptionError` if stored bytes changed.
    """
    return build_report(gather(run_dir)).model_dump(mode="json")


def write_report(run_dir: Path) -> dict[str, Any]:
    """Builds the report and writes `report.json`, `report.html` and `model_card.md`. Returns the report."""
    from orchestrator.report.html import render_html
    from orchestrator.report.model_card import render_model_card

    data = gather(run_dir)
    report = build_report(data)
    value = report.model_dump(mode="json")
    write_json(run_dir / REPORT_JSON, value)
    write_atomic(run_dir / REPORT_HTML, render_html(report, data.inputs.config).encode())
    write_atomic(run_dir / MODEL_CARD, render_model_card(report).encode())
    return value


def build_report(data: Gathered) -> Report:
    """Computes the whole report from gathered files."""
    measure: Measure = "accuracy" if data.has_labels else "agreement"
    everyone = student_reports(data)
    students = tuple(one for one in everyone if one.kind != "control")
    controls = tuple(one for one in everyone if one.kind == "control")
    focal = next(one for one in students if one.kind == "searched")
    top = best_single(students, measure)
    single = top.name if top is not None else None
    comparisons = compare_roster(focal, students, controls, measure)
    judged = {one.name: judge(focal, one, measure) for one in controls}
    agreement = agreement_report(data)
    teachers = teacher_reports(data, agreement)
    inputs = data.inputs
    return Report(
        format=REPORT_FORMAT,
        run=_facts(data, measure, focal, single),
        headline=headline(focal, measure, comparisons, single),
        findings=findings(focal, students, judged, comparisons, teachers, measure, single),
        seeds=inputs.context.seeds,
        teachers=teachers,
        ensemble=ensemble_report(data),
        students=students,
        comparisons=comparisons,
        controls=judged,
        calibration=_calibrations(data, focal, students, single),
        agreement=agreement,
        search=_search(data),
        cost=_cost(focal, inputs.teachers),
        counters=inputs.counters,
        timings=inputs.timings.seconds,
        lineage=inputs.lineage,
    )


def _facts(data: Gathered, measure: Measure, focal: StudentReport, single: str | None) -> RunFacts:
    context = data.inputs.context
    return RunFacts(
        name=context.name,
        focal=focal.name,
        best_single=single,
        test=context.test,
        test_rows=len(data.labels_N),
        labelled_test_rows=int(data.labelled_N.sum()),
        compared_by=measure,
        classes=context.classes,
        inputs=context.inputs,
        student=context.student,
        command=context.command,
        versions=context.versions,
    )


def _calibrations(
    data: Gathered, focal: StudentReport, students: tuple[StudentReport, ...], single: str | None
) -> tuple[Calibration, ...]:
    """The student of the report, the plain mean and the best single: enough to compare, few enough to read."""
    if not data.has_labels:
        return ()
    wanted = [focal.name, *(one.name for one in students if one.kind == "plain_mean"), *([single] if single else [])]
    return tuple(calibration(data, name) for name in wanted)


def _search(data: Gathered) -> SearchReport | None:
    """Counts and best-so-far come from the trials' own records; only finished trials can be the best."""
    record = data.inputs.search
    if record is None:
        return None
    best: float | None = None
    history = []
    for trial in data.inputs.trials:
        if trial.score is not None and trial.status == "done":
            best = trial.score if best is None else max(best, trial.score)
        point = HistoryPoint(trial=trial.key, name=trial.name, score=trial.score, best=best, status=trial.status)
        history.append(point)
    return SearchReport(
        trials=len(data.inputs.trials),
        dimensions=len(record.dimensions),
        dimension_names=record.dimensions,
        budget=record.budget,
        metric=record.metric,
        rows=record.rows,
        chosen=record.chosen,
        history=tuple(history),
    )


def _cost(focal: StudentReport, teachers: tuple[TeacherInfo, ...]) -> Cost:
    """Size and latency of the student against all teachers together; a ratio needs every teacher's figure."""
    sizes = [one.bytes for one in teachers if one.bytes is not None]
    times = [one.seconds_per_row for one in teachers if one.seconds_per_row is not None]
    total = sum(sizes) if len(sizes) == len(teachers) else None
    seconds = sum(times) if len(times) == len(teachers) else None
    own = focal.seconds_per_row
    return Cost(
        student_parameters=focal.parameters,
        student_bytes=focal.bytes,
        teacher_bytes=total,
        compression=total / focal.bytes if total is not None and focal.bytes else None,
        student_seconds_per_row=own,
        teacher_seconds_per_row=seconds,
        speedup=seconds / own if seconds is not None and own else None,
    )
