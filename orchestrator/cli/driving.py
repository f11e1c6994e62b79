"""What `run`, `label`, `search` and `train` share: load, take the signals, drive the stages, print the result."""

from __future__ import annotations

import contextlib
import shlex
import sys
from pathlib import Path
from typing import Any

from orchestrator.cli import output


def drive(
    config: Path,
    until: str | None,
    *,
    sets: list[str] | None,
    plugins: list[Path] | None,
    run_dir: Path | None,
    paranoid: bool,
    allow_quarantine: bool,
) -> None:
    """Runs all stages up to and including `until` (None: all) and prints where the results are."""
    from orchestrator.config.load import load_config
    from orchestrator.observe.observer import Observer
    from orchestrator.stop import StopRequest

    with StopRequest(resume_line()) as stop:
        loaded = load_config(config, sets or [], plugins or [])
        output.Output.run_dir = run_dir
        from orchestrator.run import run  # loads torch and Ray

        # Whatever a library or a teacher prints, stdout stays free for the result.
        with Observer() as observer, contextlib.redirect_stdout(sys.stderr):
            done = run(
                loaded,
                until=until,
                run_dir=run_dir,
                observer=observer,
                stop=stop,
                allow_quarantine=allow_quarantine,
                paranoid=paranoid,
            )
    facts: dict[str, Any] = {
        "status": done.status,
        "run_dir": str(done.run_dir),
        "report": str(done.report) if done.report else None,
        "counters": done.counters,
    }
    lines = [f"{done.status}: {done.run_dir}", *([f"report: {done.report}"] if done.report else [])]
    output.result(facts, "\n".join(lines))


def resume_line() -> str:
    """The command line that was typed, ready to be pasted."""
    from orchestrator.run_paths import without_secrets

    return shlex.join(["raydistill", *without_secrets(sys.argv[1:])])
