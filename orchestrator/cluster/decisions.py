"""What the dispatcher is given and what it decides: plain values, carried out by `labelling.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from teachers.units import Unit


@dataclass(frozen=True)
class PoolSpec:
    """One teacher's work: its units, what one actor demands (Ray resource name -> amount), how many actors."""

    name: str
    units: tuple[Unit, ...]
    demand: Mapping[str, float] = field(default_factory=lambda: {"CPU": 1.0})
    min_actors: int = 1
    max_actors: int = 1


@dataclass(frozen=True)
class Limits:
    """When patience ends.

    Attributes:
        in_flight: units an actor holds at most (the second one hides the driver's latency).
        deaths_to_split: deaths of actors that ran a unit before the unit is cut in two.
        deaths_to_quarantine: deaths on one single row before the row is set aside.
        start_failures: actors in a row that die before they are ready, until their pool gives up.
        hopeless: failures in a row without one unit done, until the pool gives up.
        turn_s: seconds a pool may hold resources that a pool without any actor waits for.
        restart_pause_s: pause before the next start after a failed one; doubles each time.
    """

    in_flight: int = 2
    deaths_to_split: int = 3
    deaths_to_quarantine: int = 3
    start_failures: int = 3
    hopeless: int = 12
    turn_s: float = 60.0
    restart_pause_s: float = 0.2


@dataclass(frozen=True)
class Decision:
    """Something the loop has to do, or to tell, for one pool."""

    pool: str


@dataclass(frozen=True)
class StartActor(Decision):
    """Start an actor and report it under this number."""

    actor: int


@dataclass(frozen=True)
class StopActor(Decision):
    """End an actor that holds no unit, or whose pool has given up."""

    actor: int


@dataclass(frozen=True)
class Assign(Decision):
    """Give a unit to an actor; `attempt` counts from 1."""

    actor: int
    unit: Unit
    attempt: int


@dataclass(frozen=True)
class Requeue(Decision):
    """A unit waits again: whole, or cut into two (`parts` = 2). `deaths` counts the deaths that are its fault."""

    unit: Unit
    deaths: int
    parts: int
    reason: str


@dataclass(frozen=True)
class Quarantine(Decision):
    """A single row keeps killing its teacher: set it aside."""

    unit: Unit
    reason: str


@dataclass(frozen=True)
class FinishPool(Decision):
    """Every unit of the pool is done or set aside."""


@dataclass(frozen=True)
class FailPool(Decision):
    """The pool gives up; other pools go on. `left` counts units that were not done."""

    reason: str
    left: int
