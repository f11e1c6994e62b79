"""`raydistill logs RUN [-f]`: the events of a run."""

from __future__ import annotations

import json as json_module
import time
from typing import Annotated, Any

import typer

from orchestrator.cli import options, output

NAME = "logs"


def verb(
    run: options.RunDir,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run's driver ends.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """The events of a run, oldest first."""
    from orchestrator.status import read_events

    for event in read_events(run, follow=follow):
        if json:
            print(json_module.dumps(event, ensure_ascii=False), flush=True)
        else:
            output.text(_line(event))


def _line(event: dict[str, Any]) -> str:
    facts = dict(event)
    at, kind = facts.pop("time", 0), facts.pop("event", "?")
    facts.pop("facts", None)  # for programs: `detail` says the same in words
    shown = " ".join(f"{name}={_short(value)}" for name, value in facts.items() if value not in ("", None, {}, []))
    return f"{time.strftime('%H:%M:%S', time.localtime(float(at)))} {kind} {shown}".rstrip()


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = value if isinstance(value, str) else json_module.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}..."
