"""Rounds of chaos: an undisturbed run to compare with, then runs that are killed and started again until they end.

One round is one fresh folder: the same command is started over and over, its driver is killed in the phases that the
round asks for, labelling actors die on the way, and after every death and at the end the invariants are checked.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import cli
from benchmarks.harness import say
from tests.chaos import invariants
from tests.chaos.follow import Follower, Outcome, Plan, Process, alive

EXAMPLE = cli.ROOT / "examples" / "digits"
PHASES = ("label", "search", "train", "export")
_UNIT_ROWS = 60  # of examples/digits/tiny.yaml
_IN_FLIGHT = 2  # units an actor holds at most
_TEACHERS = 3
_COMMAND_LIMIT_S = 300.0
_GONE_WITHIN_S = 30.0


class Watch:
    """Looks at a command's processes when their time is over, whatever else goes on meanwhile."""

    def __init__(self, processes: dict[Process, str], seconds: float = _GONE_WITHIN_S) -> None:
        self._processes = processes
        self._left: dict[Process, str] | None = None
        self._timer = threading.Timer(seconds, self._look)
        self._timer.daemon = True
        self._timer.start()

    def result(self) -> dict[Process, str]:
        """What outlived its time; returns at once when nothing is alive any more."""
        while self._left is None and alive(self._processes):
            time.sleep(0.2)
        self._timer.cancel()
        return self._left or {}

    def _look(self) -> None:
        self._left = alive(self._processes)


@dataclass
class Tally:
    """What was done and what was found, over all rounds."""

    driver_kills: Counter[str] = field(default_factory=Counter)
    actor_kills: int = 0
    commands: int = 0
    missed: int = 0
    violations: list[str] = field(default_factory=list)
    extra_rows: int = 0
    rows_allowed: int = 0
    watches: list[Watch] = field(default_factory=list)

    def note(self, outcome: Outcome) -> None:
        self.commands += 1
        self.actor_kills += outcome.actor_kills
        self.watches.append(Watch(outcome.processes))
        if outcome.driver_killed_in:
            self.driver_kills[outcome.driver_killed_in] += 1

    def leftovers(self) -> dict[Process, str]:
        """Processes that were alive when the time after their command was over; waits where it must."""
        left: dict[Process, str] = {}
        for watch in self.watches:
            left |= watch.result()
        self.watches = []
        return left


@dataclass(frozen=True)
class Reference:
    """An undisturbed run: its labels, what its report says, how long its stages take."""

    labels: dict[str, dict[str, bytes]]
    units: dict[str, frozenset[str]]
    result: dict[str, object]
    seconds: dict[str, float]
    rows: int


def prepare(folder: Path) -> Path:
    """Makes a folder with data and configuration; returns the configuration's path."""
    folder.mkdir(parents=True)
    data = folder / "data" / "digits.parquet"
    make = [sys.executable, str(EXAMPLE / "make_data.py"), "--out", str(data)]
    subprocess.run(make, check=True, timeout=120, stdout=subprocess.DEVNULL)
    shutil.copy(EXAMPLE / "tiny.yaml", folder)
    return folder / "tiny.yaml"


def undisturbed(folder: Path, tally: Tally) -> Reference:
    """Runs the command once, untouched."""
    config = prepare(folder)
    outcome = Follower(config, Plan(), random.Random(0), folder / "log").run(_COMMAND_LIMIT_S)
    tally.note(outcome)
    if outcome.exit_code != 0:
        raise RuntimeError(f"the undisturbed run ended with exit code {outcome.exit_code}, see {folder / 'log'}")
    tally.violations += invariants.stored_damage(folder)
    rows = invariants.rows_labelled(folder)
    labels, units = invariants.labels(folder), invariants.units(folder)
    return Reference(labels, units, invariants.result(folder), outcome.stage_seconds(), rows)


def kill_until_done(
    folder: Path, phases: Sequence[str], actor_kills: int, reference: Reference, seed: int, tally: Tally
) -> None:
    """One round: kills the driver once in each of `phases`, in their order, and actors on the way; then lets it end."""
    rng = random.Random(seed)
    config = prepare(folder)
    plans = _plans(sorted(phases, key=PHASES.index), actor_kills, reference.seconds, rng)
    name, seen, kills, actors = folder.name, invariants.snapshot(folder), 0, 0
    for number, plan in enumerate([*plans, Plan(actor_kills=0)]):
        if plan.phase != "label" and actors < actor_kills:
            plan = Plan(plan.phase, plan.delay_s, actor_kills - actors)  # what earlier commands left over
        outcome = Follower(config, plan, rng, folder / "log").run(_COMMAND_LIMIT_S)
        tally.note(outcome)
        kills += outcome.driver_killed_in is not None
        actors += outcome.actor_kills
        now = invariants.snapshot(folder)
        tally.violations += [f"{name}, command {number}: {text}" for text in invariants.lost(seen, now)]
        seen = now
        if outcome.driver_killed_in:
            say(f"{name}: driver killed in {outcome.driver_killed_in} after {outcome.seconds:.1f} s")
            continue
        if outcome.exit_code != 0:
            tally.violations.append(f"{name}, command {number}: exit code {outcome.exit_code}: {outcome.stdout[-500:]}")
            return
        tally.missed += plan.phase is not None
        break
    _judge(folder, kills, actors, reference, tally)


def _plans(phases: Sequence[str], actor_kills: int, seconds: dict[str, float], rng: random.Random) -> list[Plan]:
    plans = []
    for phase in phases:
        share = 0.8 / phases.count(phase)  # what earlier kills left is shorter than the whole
        actors = actor_kills // max(1, phases.count("label")) if phase == "label" else 0
        plans.append(Plan(phase, rng.random() * share * seconds.get(phase, 0.0), actors))
    return plans


def _judge(folder: Path, kills: int, actors: int, reference: Reference, tally: Tally) -> None:
    name = folder.name
    found = invariants.stored_damage(folder) + invariants.differences(folder, reference.labels, reference.units)
    if (result := invariants.result(folder)) != reference.result:
        found.append(f"the result differs from the undisturbed run's: {result} instead of {reference.result}")
    extra = invariants.rows_labelled(folder) - reference.rows
    allowed = _UNIT_ROWS * _IN_FLIGHT * (actors + _TEACHERS * kills)
    if extra > allowed:
        found.append(f"{extra} rows were labelled more than once, allowed are {allowed}")
    tally.extra_rows += extra
    tally.rows_allowed += allowed
    tally.violations += [f"{name}: {text}" for text in found]
    say(f"{name}: ended, {kills} driver kills, {actors} actor kills, {len(found)} violations, {extra} rows twice")
