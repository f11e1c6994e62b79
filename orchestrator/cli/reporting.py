"""What `raydistill report` does with a run folder. Loads matplotlib and jinja, no torch and no Ray."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from foundation.errors import StorageError
from orchestrator.report.build import write_report
from orchestrator.report.compare_runs import compare_runs
from orchestrator.report.recompute import recompute


def rebuild(run_dir: Path) -> tuple[dict[str, Any], str]:
    """Builds the report again; returns the facts for `--json` and lines for people."""
    write_report(run_dir)
    facts = {"status": "done", "run_dir": str(run_dir), "report": str(run_dir / "report.html")}
    return facts, f"report: {run_dir / 'report.html'}"


def compared(run_dirs: Sequence[Path]) -> tuple[dict[str, Any], str]:
    """Returns the table of several finished runs."""
    table = compare_runs(run_dirs)
    return {"status": "done", **table.to_json()}, table.text()


def recomputed(run_dir: Path) -> tuple[dict[str, Any], str]:
    """Derives every number again. Raises `StorageError` when one differs from the stored report."""
    from orchestrator.stages.counters import recount

    differences = recompute(run_dir, recount)
    if differences:
        raise StorageError(
            f"{len(differences)} number(s) of the report can't be derived from the stored files.",
            found="; ".join(map(str, differences[:10])),
            where=run_dir / "report.json",
            next_step="build it again with `raydistill report RUN`",
        )
    facts = {"status": "done", "run_dir": str(run_dir), "differences": []}
    return facts, "every number of the report follows from the stored predictions, receipts and journals"
