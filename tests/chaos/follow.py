"""One command under attack: starts it, follows its events, kills what the plan says, remembers every process it had.

Only processes that descend from the command are ever killed, by pid and creation time. What was damaged is not judged
here; see `invariants.py`.
"""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks import cli

_POLL_S = 0.005
_SCAN_EVERY_S = 0.3

Process = tuple[int, float]  # pid and creation time: a pid alone may be somebody else's by now
Event = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What to do to one command.

    Attributes:
        phase: stage in which the driver is killed; None lets it live.
        delay_s: time between the start of that stage and the kill.
        actor_kills: labelling actors to kill at most.
        appetite: chance that an actor is killed when it has just finished a unit.
    """

    phase: str | None = None
    delay_s: float = 0.0
    actor_kills: int = 0
    appetite: float = 0.8


@dataclass
class Outcome:
    """What became of the command. `driver_killed_in` is the stage, or None when it ended by itself."""

    exit_code: int = 0
    driver_killed_in: str | None = None
    actor_kills: int = 0
    seconds: float = 0.0
    processes: dict[Process, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    stdout: str = ""

    def stage_seconds(self) -> dict[str, float]:
        """Seconds of each stage that ended."""
        return {event["stage"]: event["seconds"] for event in self.events if event["event"] == "StageDone"}


class EventTail:
    """New whole lines of the run's events.jsonl, wherever the run folder appears below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offsets = {path: path.stat().st_size for path in self._files()}
        self._rest: dict[Path, bytes] = {}

    def read(self) -> Iterator[Event]:
        for path in self._files():
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                data = file.read()
            self._offsets[path] = self._offsets.get(path, 0) + len(data)
            *lines, self._rest[path] = (self._rest.get(path, b"") + data).split(b"\n")
            for line in lines:
                try:
                    yield json.loads(line)
                except ValueError:  # the half line an earlier, killed driver left
                    continue

    def _files(self) -> list[Path]:
        return sorted((self._folder / "runs").glob("*/events.jsonl"))


class Follower:
    """Carries out one `Plan`."""

    def __init__(self, config: Path, plan: Plan, rng: random.Random, log: Path) -> None:
        self._config, self._plan, self._rng, self._log = config, plan, rng, log
        self._actors: dict[str, int] = {}
        self._stage = ""
        self._kill_at: float | None = None
        self._out = Outcome()

    def run(self, timeout_s: float) -> Outcome:
        """Returns when the command has ended or was killed. Raises `TimeoutError` when it does neither."""
        tail = EventTail(self._config.parent)
        start = time.monotonic()
        with self._log.open("ab") as log, (self._log.with_suffix(".stdout")).open("w+b") as out:
            command = cli.command("run", self._config, "--json")
            # Its own session: a stray signal to the test's process group must not reach it, nor the other way round.
            driver = subprocess.Popen(command, env=cli.environment(), stdout=out, stderr=log, start_new_session=True)
            try:
                self._follow(driver, tail, start + timeout_s)
            finally:
                if driver.poll() is None:
                    driver.kill()
                driver.wait(timeout=30)
            out.seek(0)
            self._out.stdout = out.read().decode()
        self._out.exit_code = driver.returncode
        self._out.seconds = time.monotonic() - start
        return self._out

    def _follow(self, driver: subprocess.Popen[bytes], tail: EventTail, until: float) -> None:
        next_scan = 0.0
        while driver.poll() is None:
            now = time.monotonic()
            if now > until:
                raise TimeoutError(f"no end within the limit; last stage {self._stage!r}, see {self._log}")
            for event in tail.read():
                self._take(event, driver)
            if self._kill_at is not None and now >= self._kill_at:
                self._scan(driver)
                driver.kill()
                self._out.driver_killed_in = self._stage
                return
            if now >= next_scan:
                self._scan(driver)
                next_scan = now + _SCAN_EVERY_S
            time.sleep(_POLL_S)
        for event in tail.read():
            self._out.events.append(event)

    def _take(self, event: Event, driver: subprocess.Popen[bytes]) -> None:
        self._out.events.append(event)
        kind = event["event"]
        if kind == "StageStarted":
            self._stage = event["stage"]
            wanted = self._stage == self._plan.phase
            self._kill_at = time.monotonic() + self._plan.delay_s if wanted else None
        elif kind == "ActorReady":
            self._actors[event["teacher"]] = event["pid"]
        elif kind == "UnitDone" and self._out.actor_kills < self._plan.actor_kills:
            # Only an actor that has just done something is killed: the same unit dying three times means a poison row.
            if self._rng.random() < self._plan.appetite and (pid := self._actors.pop(event["teacher"], None)):
                self._kill_actor(pid, driver)

    def _kill_actor(self, pid: int, driver: subprocess.Popen[bytes]) -> None:
        try:
            actor = psutil.Process(pid)
            if driver.pid in (parent.pid for parent in actor.parents()):
                self._out.processes[pid, actor.create_time()] = actor.name()
                actor.kill()
                self._out.actor_kills += 1
        except psutil.Error:
            return

    def _scan(self, driver: subprocess.Popen[bytes]) -> None:
        try:
            children = psutil.Process(driver.pid).children(recursive=True)
        except psutil.Error:
            return
        for process in children:
            try:
                self._out.processes[process.pid, process.create_time()] = " ".join(process.cmdline()[:2])[-60:]
            except psutil.Error:
                continue


def alive(processes: Mapping[Process, str]) -> dict[Process, str]:
    """Those that still run, with what they are; a zombie doesn't."""
    found = {}
    for (pid, created), what in processes.items():
        try:
            process = psutil.Process(pid)
            if process.create_time() == created and process.status() != psutil.STATUS_ZOMBIE:
                found[pid, created] = what
        except psutil.Error:
            continue
    return found
