"""Sharing scarce resources among pools: what is free, and whose turn is over. Pure, used by the dispatcher."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from orchestrator.cluster.decisions import PoolSpec

_SLACK = 1e-9
Amounts = Mapping[str, float]


class Holder(Protocol):
    """An actor: since when it has its resources, and whether it is on its way out."""

    since: float
    draining: bool


class Sharer(Protocol):
    """A pool with its actors."""

    waiting_since: float
    not_before: float
    ended: bool

    @property
    def spec(self) -> PoolSpec: ...
    @property
    def queue(self) -> Collection[object]: ...
    @property
    def actors(self) -> Mapping[int, Holder]: ...


def fits(demand: Amounts, free: Amounts) -> bool:
    """Whether `demand` can be had now."""
    return all(amount <= free.get(name, 0.0) + _SLACK for name, amount in demand.items())


def free_resources(pools: Collection[Sharer], capacity: Amounts) -> dict[str, float]:
    """Returns what no actor of any pool holds."""
    free = dict(capacity)
    for pool in pools:
        for name, amount in pool.spec.demand.items():
            free[name] = free.get(name, 0.0) - amount * len(pool.actors)
    return free


def to_give_back(pools: Collection[Sharer], capacity: Amounts, turn_s: float, now: float) -> list[Holder]:
    """Returns the actors that finish what they hold and then leave, so that a starving pool can start.

    A pool starves when it has had work but no actor for a turn and its demand doesn't fit. Those who give are actors
    that have been up for a turn: extra ones of large pools first, then the one that has been up longest. Nobody gives
    while a gift is still on its way, and nobody gives when it wouldn't be enough.
    """
    starving = sorted(
        (pool for pool in pools if pool.queue and not pool.actors and not pool.ended and pool.not_before <= now),
        key=lambda pool: pool.waiting_since,
    )
    if not starving or now - starving[0].waiting_since < turn_s:
        return []
    need = starving[0].spec.demand
    free = free_resources(pools, capacity)
    for pool in pools:
        for actor in pool.actors.values():
            if actor.draining:
                _add(free, pool.spec.demand)
    if fits(need, free):
        return []
    givers = [
        (-len(pool.actors), actor.since, number, pool, actor)
        for pool in pools
        for number, actor in pool.actors.items()
        if not actor.draining and now - actor.since >= turn_s and _helps(pool.spec.demand, need)
    ]
    chosen: list[Holder] = []
    for *_, pool, actor in sorted(givers, key=lambda giver: giver[:3]):
        chosen.append(actor)
        _add(free, pool.spec.demand)
        if fits(need, free):
            return chosen
    return []


def _helps(given: Amounts, need: Amounts) -> bool:
    return any(given.get(name, 0.0) > 0 for name in need)


def _add(free: dict[str, float], more: Amounts) -> None:
    for name, amount in more.items():
        free[name] = free.get(name, 0.0) + amount
