"""plan -> prepare -> preflight -> label: from what is committed to every wanted label committed.

Damaged shards are moved aside and what a crash left behind is adopted before anything is planned; teachers that have
nothing to label are neither fitted nor asked; nothing is labelled before every teacher passed its preflight.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from foundation.errors import QuarantineError
from orchestrator.observe.events import Note, Warned, WorkPlanned
from orchestrator.stages.work import Work
from teachers.build import load_teacher
from teachers.label_plan import LabelPlan, plan_units
from teachers.preflight import PreflightReport, preflight
from teachers.prepare import Prepared, prepare
from teachers.row_keys import to_hex

Todo = dict[str, LabelPlan]
_KEEP = "cache.missing: renormalise keeps them for the other teachers."


@dataclass(frozen=True)
class Ready:
    """What prepare and preflight found out about the teachers that will be asked."""

    prepared: dict[str, Prepared]
    reports: dict[str, PreflightReport]


def wanted(work: Work) -> np.ndarray:
    """Positions of all rows that every teacher labels, each once, in the order of `label.rows`: int64 [M]."""
    sets = [work.dataset.positions(name) for name in work.config.label.rows]
    joined = np.concatenate(sets)
    return joined[np.sort(np.unique(joined, return_index=True)[1])]


def plan(work: Work) -> Todo:
    """Sets damage aside, adopts what a crash left, and returns the units still to label, by teacher."""
    with work.stage("plan") as facts:
        todo: Todo = {}
        positions = wanted(work)
        for name, entry in work.entries.items():
            _mend(work, name)
            units = plan_units(name, entry.id, work.dataset, positions, entry.committed(), work.config.cache.unit_rows)
            todo[name] = units
            text = f"{units.rows_reused} labels reused, {units.rows_new} to make in {len(units.units)} units"
            work.emit(Note(f"{name}: {text}"))
        facts["rows_new"] = sum(one.rows_new for one in todo.values())
        facts["rows_reused"] = sum(one.rows_reused for one in todo.values())
        facts["detail"] = f"{facts['rows_reused']} labels reused, {facts['rows_new']} to make"
    return todo


def make_ready(work: Work, todo: Todo) -> Ready:
    """Fits and asks, in this process, each teacher that has rows to label. Raises `PreflightError`, `TeacherError`.

    The answers that every host must reproduce are noted after the preflight: what a teacher says counts only then.
    """
    ready = Ready({}, {})
    pending = [name for name, one in todo.items() if one.units]
    teachers = {}
    with work.stage("prepare") as facts:
        for name in pending:
            work.stop.raise_if_requested()
            teachers[name] = load_teacher(name, work.config.teachers[name], work.contexts[name])
            work.record_load(name, "prepare")
        facts["detail"] = f"{len(pending)} of {len(todo)} teachers" if pending else "nothing to label"
    with work.stage("preflight") as facts:
        for name in pending:
            work.stop.raise_if_requested()
            report = preflight(
                teachers[name],
                work.dataset,
                classes=work.contexts[name].classes,
                batch_size=work.config.teachers[name].pool.batch_size,
                positions=wanted(work),
            )
            ready.reports[name] = report
            ready.prepared[name] = prepare(teachers[name], work.dataset, wanted(work))
            facts_of_it = {"seconds_per_row": report.seconds_per_row, "bytes": teachers[name].bytes()}
            work.journal.put("preflight", name, {"teacher": name, **facts_of_it})
            teachers[name].close()
        facts["detail"] = f"{len(pending)} teachers passed" if pending else "nobody has to be asked"
    return ready


def label(work: Work, todo: Todo, ready: Ready) -> None:
    """Labels every unit on a pool of actors per teacher and publishes the receipts.

    Raises `QuarantineError` when rows were set aside and the run doesn't allow that; all other labels are committed.
    """
    with work.stage("label") as facts:
        known = len(_set_aside(work))
        pending = {name: one for name, one in todo.items() if one.units}
        if pending:
            _label(work, pending, ready)
        for name, one in todo.items():
            entry = work.entries[name]
            covered = entry.committed()
            if not covered.quarantined and not set(one.chunks) <= covered.covers:
                entry.publish((), covers=one.chunks, run=work.run_id)
        aside = _set_aside(work)
        failed = f", {len(aside)} set aside" if aside else ""
        facts["rows_labelled"] = sum(one.rows_new for one in pending.values()) - len(aside) + known
        facts["detail"] = (f"{facts['rows_labelled']} labels made" if pending else "every label is there") + failed
        facts["reused"] = not pending
        facts["aside"] = dict(Counter(teacher for teacher, _, _ in aside))
        rows = len(np.unique(work.dataset.keys[wanted(work)]))
        facts["there"] = {name: rows - facts["aside"].get(name, 0) for name in todo}
    if aside and not work.allow_quarantine:
        raise QuarantineError(
            f"{len(aside)} rows could not be labelled; all other labels are committed.",
            rows=tuple(aside),
            expected="a label for every row",
            found="; ".join(f"{teacher} {key[:16]}: {reason}" for teacher, key, reason in aside[:5]),
            next_step="mend the teacher or the rows; or go on without these labels: --allow-quarantine",
        )
    if aside and work.config.cache.missing == "error":
        work.missing = "drop"
        work.emit(Warned(f"{len(aside)} labels can't be had; their rows are left out for all teachers alike. {_KEEP}"))


def _label(work: Work, pending: Todo, ready: Ready) -> None:
    from orchestrator.cluster.labelling import PoolTask
    from orchestrator.cluster.labelling import label as label_on_cluster

    tasks = []
    for name, one in pending.items():
        pool = work.config.teachers[name].pool
        tasks.append(PoolTask(name, pool, work.entries[name], one.units, ready.prepared[name]))
        work.emit(WorkPlanned(name, one.rows_new, "rows"))
    events = label_on_cluster(work.session, tasks, work.worker_spec, journal=work.journal)
    with closing(events):
        for event in events:
            work.emit(event)
            work.stop.raise_if_requested()


def _mend(work: Work, name: str) -> None:
    entry = work.entries[name]
    for damage in entry.audit(paranoid=work.paranoid):
        rows = entry.set_aside(damage)
        work.emit(
            Warned(
                f"{name}: {damage.summary} {damage.kind} {damage.name}, expected {damage.expected}, found "
                f"{damage.found}; moved to quarantine, {rows} rows will be labelled again"
            )
        )
    if orphans := entry.recover():
        entry.publish(orphans, run=work.run_id)
        work.emit(Note(f"{name}: {sum(one.rows for one in orphans)} labels of an interrupted run adopted"))


def _set_aside(work: Work) -> list[tuple[str, str, str]]:
    asked = set(to_hex(work.dataset.keys[wanted(work)]))
    return [
        (name, key, reason)
        for name, entry in work.entries.items()
        for key, reason in sorted(entry.committed().quarantined.items())
        if key in asked
    ]
