"""`raydistill report RUN`: the report, built again from the files of a finished run."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli import options, output

NAME = "report"


def verb(
    run: options.RunDir,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Derive every number again from stored predictions and compare.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Build report.json, report.html and model_card.md of a run again; or check every number with --recompute."""
    from orchestrator.cli.reporting import rebuild, recomputed
    from orchestrator.status import require_run

    require_run(run)
    output.Output.run_dir = run
    facts, lines = recomputed(run) if recompute else rebuild(run)
    output.result(facts, lines)
