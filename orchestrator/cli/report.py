"""`raydistill report RUN...`: the report, built again from the files of a finished run; or several runs compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foundation.errors import ConfigError
from orchestrator.cli import options, output

NAME = "report"


def verb(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="A run folder, or several.", show_default=False)],
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Derive every number again from stored predictions and compare.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Build, check or compare reports. One run: builds it again, or derives its numbers; several: a table."""
    from orchestrator.cli.reporting import compared, rebuild, recomputed
    from orchestrator.status import require_run

    for run in runs:
        require_run(run)
    if len(runs) > 1 and recompute:
        raise ConfigError("One run at a time can be recomputed.", expected="one run folder", found=len(runs))
    output.Output.run_dir = runs[0]
    facts, lines = compared(runs) if len(runs) > 1 else recomputed(runs[0]) if recompute else rebuild(runs[0])
    output.result(facts, lines)
