"""The run's counters, summed from receipts and journal records over all attempts; no process variable takes part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from foundation.errors import DataError
from orchestrator.journal import Journal
from orchestrator.report.files import read_json
from orchestrator.report.inputs import Counters, Lineage
from orchestrator.run_folder import RunPaths, read_facts
from orchestrator.stages.work import Work
from teachers.cache.cache import LabelCache
from teachers.cache.config import CacheConfig
from teachers.cache.entry import Entry


def count(work: Work) -> Counters:
    """Returns what this run folder cost so far: teachers loaded, rows labelled, trials, deaths."""
    return _sum(work.journal, work.entries, work.run_id, work.folder.done("label") or {})


def recount(run_dir: Path) -> Counters:
    """Returns the counters of a finished run from its files and the receipts in the cache it used.

    Raises `DataError` when the cache isn't where the run had it, or has lost an entry of the run.
    """
    paths = RunPaths(run_dir)
    lineage = Lineage.model_validate_json((run_dir / "lineage.json").read_bytes())
    base_dir = (run_dir / str((read_facts(run_dir) or {}).get("base_dir", "."))).resolve()
    config = CacheConfig.model_validate(yaml.safe_load(paths.config.read_bytes())["cache"])
    stored = {entry.id: entry for entry in LabelCache.open(config, base_dir, create=False).entries()}
    if lost := [one.teacher for one in lineage.entries if one.entry not in stored]:
        raise DataError(
            "The labels of this run are not in its cache any more, so its counters can't be summed again.",
            expected=f"an entry of {', '.join(lost)}",
            where=base_dir / config.root,
        )
    entries = {one.teacher: stored[one.entry] for one in lineage.entries}
    return _sum(Journal(run_dir), entries, lineage.run, read_json(paths.mark("label"))["facts"])


def _sum(journal: Journal, entries: Mapping[str, Entry], run: str, labels: Mapping[str, Any]) -> Counters:
    """`labels` are the facts of the label stage: rows that are there and rows set aside, by teacher."""
    labelled = {
        name: sum(receipt.rows for receipt in entry.receipts() if receipt.run == run) for name, entry in entries.items()
    }
    there, aside = labels.get("there", {}), labels.get("aside", {})
    trials = journal.all("trials")
    return Counters(
        teacher_loads=len(journal.keys("loads")),
        rows_labelled=sum(labelled.values()),
        rows_reused=sum(max(0, there.get(name, 0) - rows) for name, rows in labelled.items()),
        trials=len(trials),
        teacher_rows_during_search=sum(int(record.get("teacher_rows", 0)) for record in trials.values()),
        actor_deaths=len(journal.keys("deaths")),
        rows_quarantined=sum(aside.values()),
    )
