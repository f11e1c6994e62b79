"""Runs the command line as a user would, in a process of its own; used by benchmarks and chaos."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def command(*arguments: str | Path) -> list[str]:
    """The command line that runs raydistill with this interpreter, installed or not."""
    start = "from orchestrator.cli.main import entry; entry()"
    return [sys.executable, "-c", start, *map(str, arguments)]


def environment() -> dict[str, str]:
    """The environment of such a command: this checkout first, no usage reports."""
    paths = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "RAY_USAGE_STATS_ENABLED": "0"}


def run_json(arguments: Sequence[str | Path], *, timeout_s: float) -> dict[str, Any]:
    """Runs a verb with `--json` and returns its object; progress passes through to stderr.

    Raises `RuntimeError` with the last lines of stdout when the command fails.
    """
    done = subprocess.run(
        command(*arguments, "--json"), env=environment(), stdout=subprocess.PIPE, text=True, timeout=timeout_s
    )
    if done.returncode != 0:
        raise RuntimeError(f"{arguments[0]} ended with exit code {done.returncode}: {done.stdout[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
