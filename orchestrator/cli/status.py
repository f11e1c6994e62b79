"""`raydistill status RUN`: stage, counts, alive or not; read from the run folder."""

from __future__ import annotations

from orchestrator.cli import options, output

NAME = "status"


def verb(run: options.RunDir, json: options.Json = False) -> None:
    """How a run stands. Its stage, counts, and whether a driver is alive."""
    from orchestrator.status import status_of

    found = status_of(run)
    output.result(found.to_json(), found.text())
