"""Who labels what, next: a pure state machine over pools, actors and units.

It knows no Ray, no clock and no files: reports come in (`ready`, `done`, `failed`, `died`), the time is an argument,
`decide` returns what has to be done. `labelling.py` carries the decisions out; tests drive thousands of histories.

Rules worth knowing before reading on:
- an actor runs its units in order, so when it dies only the first one can be to blame; the others go back unharmed;
- a suspect (a unit that saw a death, or a part of one) is alone in its actor, so that the blame stays certain;
- suspects queue behind untouched units: a teacher proves that it works at all before patience ends;
- a unit is cut after three deaths, its parts after one, a single row is set aside after three of its own;
- resources go first to the pool that has waited longest without an actor; when none are left, a pool that has held
  some for a whole turn gives an actor back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.cluster.decisions import (
    Assign,
    Decision,
    FailPool,
    FinishPool,
    Limits,
    PoolSpec,
    Quarantine,
    Requeue,
    StartActor,
    StopActor,
)
from orchestrator.cluster.turns import fits, free_resources, to_give_back
from teachers.units import Unit


@dataclass
class Work:
    """A unit with its history. `part` marks a piece of a unit that was cut."""

    unit: Unit
    attempts: int = 0
    deaths: int = 0
    part: bool = False

    @property
    def suspect(self) -> bool:
        return self.part or self.deaths > 0


@dataclass
class Actor:
    """What the dispatcher knows of an actor."""

    number: int
    since: float
    is_ready: bool = False
    draining: bool = False
    in_flight: list[Work] = field(default_factory=list)


@dataclass
class Pool:
    """What the dispatcher knows of a pool. `ended` is set when it has finished or given up."""

    spec: PoolSpec
    queue: deque[Work]
    waiting_since: float
    actors: dict[int, Actor] = field(default_factory=dict)
    start_failures: int = 0
    fruitless: int = 0
    not_before: float = 0.0
    ended: bool = False

    def busy(self) -> bool:
        return bool(self.queue) or any(actor.in_flight for actor in self.actors.values())


class Dispatcher:
    """See the module's text. `capacity` is the cluster's total of each resource."""

    def __init__(
        self, pools: Sequence[PoolSpec], capacity: Mapping[str, float], limits: Limits | None = None, now: float = 0.0
    ) -> None:
        self._limits = limits or Limits()
        self._capacity = dict(capacity)
        self._pools = {
            spec.name: Pool(spec, deque(Work(unit) for unit in spec.units), waiting_since=now) for spec in pools
        }
        self._where: dict[int, Pool] = {}
        self._out: list[Decision] = []
        self._next = 0

    @property
    def finished(self) -> bool:
        """True when every pool has finished or given up, and told so."""
        return all(pool.ended for pool in self._pools.values()) and not self._out

    def waiting(self) -> dict[str, float]:
        """Pools that have work but no actor, and since when."""
        pools = self._pools.values()
        return {pool.spec.name: pool.waiting_since for pool in pools if pool.queue and not pool.actors}

    def set_capacity(self, capacity: Mapping[str, float]) -> None:
        """The cluster has grown or shrunk."""
        self._capacity = dict(capacity)

    # Reports. Those of an actor that isn't known any more are ignored: it was stopped, or reported dead already.

    def ready(self, actor: int, now: float) -> None:
        """An actor has loaded its teacher."""
        if pool := self._where.get(actor):
            pool.actors[actor].is_ready = True
            pool.actors[actor].since = now

    def done(self, actor: int, unit_id: str) -> None:
        """A unit's labels are stored."""
        pool = self._where.get(actor)
        if pool is not None and self._take(pool.actors[actor], unit_id) is not None:
            pool.start_failures = pool.fruitless = 0

    def failed(self, actor: int, unit_id: str, reason: str) -> None:
        """The teacher raised an exception for a unit; the actor lives on."""
        pool = self._where.get(actor)
        if pool is not None and (work := self._take(pool.actors[actor], unit_id)) is not None:
            self._blame(pool, work, reason)

    def died(self, actor: int, reason: str, now: float) -> None:
        """An actor is gone; whatever it held is not done."""
        if (pool := self._where.pop(actor, None)) is None:
            return
        gone = pool.actors.pop(actor)
        pool.waiting_since = now
        innocent = gone.in_flight[1:] if gone.is_ready else gone.in_flight
        pool.queue.extendleft(reversed(innocent))
        if gone.is_ready and gone.in_flight:
            self._blame(pool, gone.in_flight[0], reason)
            return
        pool.start_failures += 1
        pool.not_before = now + self._limits.restart_pause_s * 2 ** (pool.start_failures - 1)
        if pool.start_failures >= self._limits.start_failures:
            self._give_up(pool, reason)

    def give_up(self, name: str, reason: str) -> None:
        """A failure that no other try can mend: the pool ends here."""
        if not self._pools[name].ended:
            self._give_up(self._pools[name], reason)

    def decide(self, now: float) -> list[Decision]:
        """Returns what has to be done now."""
        for pool in self._pools.values():
            if not pool.ended:
                self._assign(pool)
                self._release(pool, now)
        self._rotate(now)
        self._start(now)
        decisions, self._out = self._out, []
        return decisions

    def _assign(self, pool: Pool) -> None:
        starting = sum(not actor.is_ready for actor in pool.actors.values())
        for depth in range(1, self._limits.in_flight + 1):
            for actor in pool.actors.values():
                spare = depth == 1 or len(pool.queue) > starting  # leave something for actors that come up soon
                if pool.queue and spare and len(actor.in_flight) < depth and self._may_take(actor, pool.queue[0]):
                    work = pool.queue.popleft()
                    work.attempts += 1
                    actor.in_flight.append(work)
                    self._out.append(Assign(pool.spec.name, actor.number, work.unit, work.attempts))

    def _may_take(self, actor: Actor, work: Work) -> bool:
        if not actor.is_ready or actor.draining:
            return False
        return not actor.in_flight or not (work.suspect or any(held.suspect for held in actor.in_flight))

    def _release(self, pool: Pool, now: float) -> None:
        for actor in list(pool.actors.values()):
            if not actor.in_flight and (actor.draining or (actor.is_ready and not pool.queue)):
                self._stop(pool, actor)
                pool.waiting_since = now  # its turn is over: it queues up behind those that wait already
        if not pool.busy():
            for actor in list(pool.actors.values()):
                self._stop(pool, actor)
            pool.ended = True
            self._out.append(FinishPool(pool.spec.name))

    def _rotate(self, now: float) -> None:
        for actor in to_give_back(self._pools.values(), self._capacity, self._limits.turn_s, now):
            actor.draining = True

    def _start(self, now: float) -> None:
        wanted = [pool for pool in self._pools.values() if pool.queue and not pool.ended and pool.not_before <= now]
        for pool in sorted(wanted, key=lambda pool: (len(pool.actors) > 0, pool.waiting_since)):
            while self._wants_more(pool):
                if not fits(pool.spec.demand, free_resources(self._pools.values(), self._capacity)):
                    if not pool.actors and now - pool.waiting_since >= self._limits.turn_s:
                        return  # what comes free is kept for it, or a large demand would starve among small ones
                    break
                self._next += 1
                pool.actors[self._next] = Actor(self._next, since=now)
                self._where[self._next] = pool
                self._out.append(StartActor(pool.spec.name, self._next))

    def _wants_more(self, pool: Pool) -> bool:
        count, backlog = len(pool.actors), len(pool.queue)
        if count == 0:
            return True
        if count < pool.spec.min_actors:
            starting = sum(not actor.is_ready for actor in pool.actors.values())
            return backlog > starting
        return count < pool.spec.max_actors and backlog > count * self._limits.in_flight

    def _blame(self, pool: Pool, work: Work, reason: str) -> None:
        work.deaths += 1
        pool.fruitless += 1
        single = len(work.unit.keys) == 1
        patience = self._limits.deaths_to_quarantine if single else self._limits.deaths_to_split
        if work.part and not single:
            patience = 1
        if work.deaths < patience:
            pool.queue.append(work)
            self._out.append(Requeue(pool.spec.name, work.unit, work.deaths, 1, reason))
        elif single:
            self._out.append(Quarantine(pool.spec.name, work.unit, reason))
        else:
            pool.queue.extend(Work(half, part=True) for half in work.unit.split())
            self._out.append(Requeue(pool.spec.name, work.unit, work.deaths, 2, reason))
        if pool.fruitless >= self._limits.hopeless:
            self._give_up(pool, reason)

    def _give_up(self, pool: Pool, reason: str) -> None:
        left = len(pool.queue) + sum(len(actor.in_flight) for actor in pool.actors.values())
        for actor in list(pool.actors.values()):
            self._stop(pool, actor)
        pool.queue.clear()
        pool.ended = True
        self._out.append(FailPool(pool.spec.name, reason, left))

    def _stop(self, pool: Pool, actor: Actor) -> None:
        del pool.actors[actor.number]
        self._where.pop(actor.number, None)
        self._out.append(StopActor(pool.spec.name, actor.number))

    @staticmethod
    def _take(actor: Actor, unit_id: str) -> Work | None:
        for work in actor.in_flight:
            if work.unit.id == unit_id:
                actor.in_flight.remove(work)
                return work
        return None
