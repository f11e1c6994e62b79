"""How a run stands, read from its folder alone: whoever asks needs no Ray, no torch and no lock."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from foundation.errors import ConfigError, RaydistillError
from foundation.words import plain_text
from orchestrator.run_paths import STAGES, RunPaths, driver_of, read_facts

_TAIL_BYTES = 1 << 16
_SAME_START_S = 1.0


@dataclass(frozen=True)
class Status:
    """A snapshot of a run."""

    name: str
    run_dir: Path
    fingerprint: str
    driver: dict[str, Any] | None
    done: tuple[str, ...]
    stage: str | None
    last_event: dict[str, Any] | None
    counts: dict[str, int]
    report: Path | None

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "run_dir": str(self.run_dir),
            "fingerprint": self.fingerprint,
            "alive": self.driver is not None,
            "driver": self.driver,
            "stages_done": list(self.done),
            "stage": self.stage,
            "counts": self.counts,
            "last_event": self.last_event,
            "report": None if self.report is None else str(self.report),
        }

    def text(self) -> str:
        """A few lines for people."""
        if self.driver is not None:
            state = f"running (process {self.driver.get('pid')} on {self.driver.get('host')})"
        elif self.stage is None:
            state = "finished"
        else:
            state = "not running; the same command goes on"
        lines = [f"{self.name} ({self.fingerprint[:12]}): {state}", f"  folder: {self.run_dir}"]
        lines.append(f"  done: {', '.join(self.done) or 'nothing yet'}")
        if self.stage is not None:
            lines.append(f"  next or now: {self.stage}")
        lines += [f"  {name}: {count}" for name, count in self.counts.items()]
        if self.last_event and (at := self.last_event.get("time")):
            lines.append(f"  last event: {self.last_event.get('event')}, {max(0.0, time.time() - float(at)):.0f} s ago")
        return "\n".join([*lines, *([f"  report: {self.report}"] if self.report else [])])


def require_run(root: Path) -> dict[str, Any]:
    """Returns a run folder's facts. Raises `ConfigError` when the folder is none."""
    facts = read_facts(root)
    if facts is None:
        raise ConfigError(
            "This is no run folder.",
            expected="a folder with run.json",
            where=plain_text(str(root)),
            next_step="run folders lie in runs/ beside the configuration",
        )
    return facts


def status_of(root: Path) -> Status:
    """Reads a run's state from its folder. Raises `ConfigError` when the folder is none."""
    facts = require_run(root)
    paths = RunPaths(root)
    done = tuple(stage for stage in STAGES if paths.mark(stage).exists())
    driver = driver_of(root)
    left = [stage for stage in STAGES if stage not in done]
    counts = {
        kind: len(list((paths.journal / kind).glob("*.json")))
        for kind in ("loads", "trials", "deaths")
        if (paths.journal / kind).is_dir()
    }
    counts["students"] = len(list(paths.students.glob("*/*.safetensors")))
    report = paths.report_html if paths.report_html.exists() else None
    return Status(
        name=str(facts.get("name")),
        run_dir=root,
        fingerprint=str(facts.get("fingerprint")),
        driver=driver,
        done=done,
        stage=left[0] if left else None,
        last_event=next(iter(reversed(_tail(paths.events))), None),
        counts=counts,
        report=report,
    )


def stop_run(root: Path, number: int = signal.SIGTERM) -> int:
    """Asks a run's driver to stop; returns its process id. Raises `ConfigError` when nobody drives the run."""
    require_run(root)
    driver = driver_of(root)
    if driver is None:
        raise ConfigError("Nobody drives this run.", where=root, next_step="nothing has to be stopped")
    if driver.get("host") != os.uname().nodename:
        raise ConfigError("The run is driven on another machine.", found=driver.get("host"), where=root)
    pid = int(driver["pid"])
    try:
        same = abs(psutil.Process(pid).create_time() - float(driver["create_time"])) < _SAME_START_S
    except psutil.Error:
        same = False
    if not same:  # the number was given to another process since
        raise RaydistillError("The driver is gone, and its number belongs to another process.", where=root)
    os.kill(pid, number)
    return pid


def read_events(root: Path, *, follow: bool, poll_s: float = 0.5) -> Iterator[dict[str, Any]]:
    """Yields a run's events; with `follow` until its driver is gone."""
    require_run(root)
    path = RunPaths(root).events
    rest = b""
    position = 0
    while True:
        alive = follow and driver_of(root) is not None
        if path.exists():
            with path.open("rb") as file:
                file.seek(position)
                data = file.read()
            position += len(data)
            *lines, rest = (rest + data).split(b"\n")
            yield from _parsed(lines)
        if not alive:
            return
        time.sleep(poll_s)


def _tail(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return list(_parsed(file.read().split(b"\n")))
    except OSError:
        return []


def _parsed(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # a torn line of a killed driver, or the blank end
        if isinstance(event, dict):
            yield event
