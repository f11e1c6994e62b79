"""The run's counters, summed from receipts and journal records over all attempts; no process variable takes part."""

from __future__ import annotations

from orchestrator.report.inputs import Counters
from orchestrator.stages.work import Work


def count(work: Work) -> Counters:
    """Returns what this run folder cost so far: teachers loaded, rows labelled, trials, deaths."""
    labelled = 0
    for entry in work.entries.values():
        labelled += sum(receipt.rows for receipt in entry.receipts() if receipt.run == work.run_id)
    wanted, aside = 0, 0
    keys = {work.dataset.keys[position] for rows in work.config.label.rows for position in work.dataset.positions(rows)}
    for entry in work.entries.values():
        committed = entry.committed()
        known = set(committed.keys)
        wanted += sum(key in known for key in keys)
        aside += len(committed.quarantined)
    trials = work.journal.all("trials")
    return Counters(
        teacher_loads=len(work.journal.keys("loads")),
        rows_labelled=labelled,
        rows_reused=max(0, wanted - labelled),
        trials=len(trials),
        teacher_rows_during_search=sum(int(record.get("teacher_rows", 0)) for record in trials.values()),
        actor_deaths=len(work.journal.keys("deaths")),
        rows_quarantined=aside,
    )
