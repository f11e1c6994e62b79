"""`raydistill stop RUN`: asks a run's driver to stop; finished work is kept."""

from __future__ import annotations

from orchestrator.cli import options, output

NAME = "stop"


def verb(run: options.RunDir, json: options.Json = False) -> None:
    """Ask a run's driver to stop. It ends within seconds, finished work is kept."""
    from orchestrator.status import stop_run

    pid = stop_run(run)
    output.result({"status": "asked", "pid": pid, "run_dir": str(run)}, f"asked process {pid} to stop")
