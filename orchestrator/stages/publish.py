"""controls -> report -> export: the files a report is computed from, the report itself, and the student that leaves."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from foundation.fingerprint import fingerprint
from orchestrator.observe.events import Note, Warned
from orchestrator.report.build import REPORT_HTML, build, write_report
from orchestrator.report.inputs import (
    Context,
    Lineage,
    LineageEntry,
    Roster,
    TeacherInfo,
    Teachers,
    Timings,
    write_input,
)
from orchestrator.run_folder import read_facts
from orchestrator.stages.counters import count
from orchestrator.stages.train import Trained, describe
from orchestrator.stages.work import Work
from pipelines.data.config import ALL, RowSet

EXPORT_ROWS = 64


def judge_controls(work: Work, students: list[Trained]) -> None:
    """Writes down what the report is made from, and says whether the student listened to its teachers at all."""
    with work.stage("controls") as facts:
        root = work.folder.root
        write_input(root, Roster(students=tuple(describe(work, students))))
        write_input(root, Teachers(teachers=tuple(_teachers(work))))
        write_input(root, _lineage(work))
        write_input(root, _context(work))
        write_input(root, count(work))
        judged = build(root)["controls"]
        deaf = [name for name, control in judged.items() if not control["sensitive"]]
        facts["detail"] = "the student follows its teachers" if not deaf else ""
    for name in deaf:
        work.emit(Warned(f"{name}: the student is no better than with false teacher signals; see the report"))


def report(work: Work) -> dict[str, Any]:
    """Writes `report.json`, `report.html` and `model_card.md`."""
    with work.stage("report") as facts:
        root = work.folder.root
        write_input(root, Timings(seconds=work.timings))
        made = write_report(root)
        facts["detail"] = str(root / REPORT_HTML)
    for finding in made["findings"]:
        work.emit(Note(finding["text"] if isinstance(finding, dict) else str(finding)))
    return made


def export(work: Work, students: list[Trained]) -> None:
    """Exports the searched student of the first seed, checked on real rows; ONNX where its packages are installed."""
    from pipelines.export import Format, export_student, has_onnx
    from pipelines.student import StudentSpec

    chosen = next(one for one in students if one.student.kind == "searched")
    with work.stage("export") as facts:
        data = work.training_data
        rows = work.dataset.positions(work.config.label.rows[0])[:EXPORT_ROWS]
        inputs_N = data.inputs[rows].cpu().numpy()
        formats: list[Format] = ["safetensors", "onnx"] if has_onnx() else ["safetensors"]
        results = export_student(
            chosen.module(),
            options=chosen.job.student,
            spec=StudentSpec(tuple(data.inputs.shape[1:]), data.classes),
            columns=tuple(work.config.data.inputs),
            inputs_N=np.asarray(inputs_N),
            folder=work.folder.paths.export,
            formats=formats,
        )
        facts["files"] = [one.to_json() for one in results]
        facts["detail"] = ", ".join(f"{one.format} (largest difference {one.max_difference:.2g})" for one in results)


def _teachers(work: Work) -> list[TeacherInfo]:
    found = []
    measured = work.journal.all("preflight")
    for name, entry in work.entries.items():
        card, committed = work.cards[name], entry.committed()
        speed = measured.get(name, {}).get("seconds_per_row")
        if speed is None:
            receipts = [one for one in entry.receipts() if one.rows]
            rows = sum(one.rows for one in receipts)
            speed = sum(one.seconds for one in receipts) / rows if rows else None
        size = measured.get(name, {}).get("bytes")
        found.append(
            TeacherInfo(
                name=name,
                classes=card.classes,
                fingerprint=card.fingerprint,
                entry=entry.id,
                seconds_per_row=speed,
                bytes=int(size) if isinstance(size, int) else None,
                rows=committed.rows,
            )
        )
    return found


def _lineage(work: Work) -> Lineage:
    entries = []
    for name, entry in work.entries.items():
        committed = entry.committed()
        digests = tuple(sorted(entry.ledger.state().shards))
        entries.append(
            LineageEntry(
                teacher=name,
                entry=entry.id,
                generation=committed.generation,
                shards=committed.shards,
                rows=committed.rows,
                bytes=committed.bytes,
                shard_digests=digests,
            )
        )
    chunks = tuple(work.dataset.chunk_digests())
    rows = {name: len(work.dataset.positions(name)) for name in work.config.data.splits or {ALL: RowSet()}}
    data = fingerprint({"chunks": list(chunks)})
    return Lineage(run=work.run_id, data=data, chunk_digests=chunks, rows=rows, entries=tuple(entries))


def _context(work: Work) -> Context:
    facts = read_facts(work.folder.root) or {}
    return Context(
        name=work.config.name,
        classes=work.dataset.classes,
        seeds=work.config.compare.seeds,
        test=work.config.compare.test,
        command=" ".join(facts.get("command", [])),
        versions=facts.get("versions", {}),
        inputs=tuple(work.config.data.inputs),
        student=json.dumps(work.config.student.model_dump(mode="json"), sort_keys=True),
    )
