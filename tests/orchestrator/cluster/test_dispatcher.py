"""The dispatcher's decisions, without Ray: thousands of histories with deaths, poison and scarce resources."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from orchestrator.cluster.dispatcher import Dispatcher
from teachers.units import Unit


def units(pool: str, count: int, rows: int = 4, first: int = 0) -> tuple[Unit, ...]:
    out = []
    for index in range(count):
        positions = tuple(range(first + index * rows, first + (index + 1) * rows))
        out.append(Unit(pool, f"entry-{pool}", positions, tuple(f"{position:032x}" for position in positions)))
    return tuple(out)


class World:
    """A simulated cluster: carries decisions out, kills actors by chance or by poison, checks every rule it can see."""

    def __init__(
        self,
        pools: list[PoolSpec],
        capacity: dict[str, float],
        seed: int = 0,
        death_rate: float = 0.0,
        poison: frozenset[tuple[str, int]] = frozenset(),
        bad_start: frozenset[str] = frozenset(),
        raises: bool = False,
        limits: Limits | None = None,
    ) -> None:
        self.specs = {pool.name: pool for pool in pools}
        self.capacity = capacity
        self.random = random.Random(seed)
        self.death_rate, self.poison, self.bad_start, self.raises = death_rate, poison, bad_start, raises
        self.limits = limits or Limits()
        self.now = 0.0
        self.dispatcher = Dispatcher(pools, capacity, self.limits)
        self.actors: dict[int, str] = {}
        self.starting: list[int] = []
        self.held: dict[int, list[Unit]] = {}
        self.labelled: Counter[tuple[str, int]] = Counter()
        self.quarantined: set[tuple[str, int]] = set()
        self.ended: dict[str, Decision] = {}
        self.first_start: dict[str, float] = {}
        self.max_wait: dict[str, float] = {}
        self.deaths = 0

    def carry_out(self, decision: Decision) -> None:
        match decision:
            case StartActor(pool, actor):
                assert pool not in self.ended
                self.actors[actor] = pool
                self.held[actor] = []
                self.starting.append(actor)
                self.first_start.setdefault(pool, self.now)
                self._check_capacity()
            case StopActor(_, actor):
                failed = any(isinstance(d, FailPool) for d in self.batch if d.pool == self.actors[actor])
                assert failed or not self.held[actor], "an actor was stopped with work in its hands"
                self._forget(actor)
            case Assign(pool, actor, unit, attempt):
                assert self.actors[actor] == pool == unit.teacher and actor not in self.starting
                assert attempt >= 1
                self.held[actor].append(unit)
                assert len(self.held[actor]) <= self.limits.in_flight
            case Quarantine(pool, unit, _):
                assert len(unit.positions) == 1
                self.quarantined.add((pool, unit.positions[0]))
            case FinishPool(pool) | FailPool(pool, _, _):
                assert pool not in self.ended
                self.ended[pool] = decision

    def step(self) -> None:
        self.batch = self.dispatcher.decide(self.now)
        for decision in self.batch:
            self.carry_out(decision)
        self.now += 1.0
        for actor in list(self.starting):
            self.starting.remove(actor)
            if self.actors[actor] in self.bad_start:
                self._die(actor)
            else:
                self.dispatcher.ready(actor, self.now)
        for actor in list(self.held):
            if self.held[actor]:
                self._work(actor)

    def _work(self, actor: int) -> None:
        unit = self.held[actor][0]
        poisoned = any((unit.teacher, position) in self.poison for position in unit.positions)
        if poisoned and self.raises:
            self.held[actor].pop(0)
            self.dispatcher.failed(actor, unit.id, "ValueError")
        elif poisoned or self.random.random() < self.death_rate:
            self._die(actor)
        else:
            self.held[actor].pop(0)
            self.labelled.update((unit.teacher, position) for position in unit.positions)
            self.dispatcher.done(actor, unit.id)

    def _die(self, actor: int) -> None:
        self.deaths += 1
        self._forget(actor)
        self.dispatcher.died(actor, "killed", self.now)

    def _forget(self, actor: int) -> None:
        del self.actors[actor], self.held[actor]
        if actor in self.starting:
            self.starting.remove(actor)

    def _check_capacity(self) -> None:
        for name, total in self.capacity.items():
            used = sum(self.specs[pool].demand.get(name, 0) for pool in self.actors.values())
            assert used <= total + 1e-6, "more was started than fits"

    def run(self, steps: int = 20_000) -> World:
        for _ in range(steps):
            if self.dispatcher.finished:
                return self
            self.step()
        raise AssertionError("the dispatcher never ended")


def all_rows(*pools: PoolSpec) -> set[tuple[str, int]]:
    return {(pool.name, position) for pool in pools for unit in pool.units for position in unit.positions}


@settings(max_examples=150)
@given(st.data())
def test_every_row_is_labelled_once_or_is_poison(data: st.DataObject) -> None:
    names = ["a", "b", "c", "d"][: data.draw(st.integers(1, 4), label="pools")]
    pools = []
    for name in names:
        low = data.draw(st.integers(1, 3), label="min")
        pools.append(
            PoolSpec(
                name,
                units(name, data.draw(st.integers(1, 9), label="units"), data.draw(st.integers(1, 7), label="rows")),
                {"CPU": data.draw(st.sampled_from([0.5, 1.0, 2.0]), label="cpus")},
                low,
                low + data.draw(st.integers(0, 2), label="more"),
            )
        )
    rows = sorted(all_rows(*pools))
    poison = frozenset(data.draw(st.lists(st.sampled_from(rows), max_size=2), label="poison"))
    rate = data.draw(st.sampled_from([0.0, 0.1, 0.25]), label="death rate")
    world = World(
        pools,
        {"CPU": data.draw(st.sampled_from([2.0, 3.0]), label="capacity")},
        data.draw(st.integers(0, 2**32), label="seed"),
        rate,
        poison,
        raises=data.draw(st.booleans(), label="raises"),
        limits=Limits(turn_s=5.0, hopeless=10**6, start_failures=10**6),
    ).run()
    assert not world.actors, "an actor was left running"
    assert all(isinstance(end, FinishPool) for end in world.ended.values()) and set(world.ended) == set(names)
    assert set(world.labelled) | world.quarantined == set(rows)
    assert not set(world.labelled) & poison
    assert max(world.labelled.values(), default=1) == 1
    if rate == 0.0:
        assert world.quarantined == poison


def test_one_poison_row_costs_a_bounded_number_of_deaths() -> None:
    pool = PoolSpec("a", units("a", 4, rows=40))
    world = World([pool], {"CPU": 1.0}, poison=frozenset({("a", 77)})).run()
    assert world.quarantined == {("a", 77)}
    assert len(world.labelled) == 159
    assert world.deaths <= 3 + 6 + 3


def test_a_queued_unit_takes_no_blame_for_the_running_one() -> None:
    first, second = units("a", 2, rows=1)
    dispatcher = Dispatcher([PoolSpec("a", (first, second))], {"CPU": 1.0})
    [start] = dispatcher.decide(0.0)
    assert isinstance(start, StartActor)
    dispatcher.ready(start.actor, 0.0)
    assert [decision.unit for decision in dispatcher.decide(0.0) if isinstance(decision, Assign)] == [first, second]
    dispatcher.died(start.actor, "killed", 1.0)
    [requeue, again] = dispatcher.decide(1.0)
    assert isinstance(requeue, Requeue) and isinstance(again, StartActor)
    assert (requeue.unit, requeue.deaths) == (first, 1)
    dispatcher.ready(again.actor, 1.0)
    [only] = dispatcher.decide(1.0)
    assert isinstance(only, Assign) and only.unit == second, "the innocent one first, and the suspect not beside it"
    dispatcher.done(again.actor, second.id)
    [suspect] = dispatcher.decide(1.0)
    assert isinstance(suspect, Assign) and (suspect.unit, suspect.attempt) == (first, 2)


def test_a_teacher_that_never_starts_gives_up_and_the_others_finish() -> None:
    good, bad = PoolSpec("good", units("good", 3)), PoolSpec("bad", units("bad", 3))
    world = World([bad, good], {"CPU": 1.0}, bad_start=frozenset({"bad"})).run(200)
    assert isinstance(world.ended["bad"], FailPool) and world.ended["bad"].left == 3
    assert isinstance(world.ended["good"], FinishPool)
    assert world.deaths == Limits().start_failures


def test_a_teacher_that_fails_on_everything_gives_up_before_it_sets_every_row_aside() -> None:
    pool = PoolSpec("a", units("a", 10))
    world = World([pool], {"CPU": 1.0}, poison=frozenset(all_rows(pool)), raises=True).run(500)
    assert isinstance(world.ended["a"], FailPool)
    assert len(world.quarantined) == 0


def test_seven_pools_on_two_cpus_all_get_a_turn() -> None:
    pools = [PoolSpec(f"p{n}", units(f"p{n}", 40)) for n in range(7)]
    world = World(pools, {"CPU": 2.0}, limits=Limits(turn_s=10.0)).run()
    assert len(world.labelled) == 7 * 160
    assert max(world.first_start.values()) < 7 * 15, "a pool waited for the others to finish"


def test_without_need_nobody_gives_way() -> None:
    pools = [PoolSpec(f"p{n}", units(f"p{n}", 60)) for n in range(2)]
    world = World(pools, {"CPU": 2.0}, limits=Limits(turn_s=5.0))
    starts = 0
    while not world.dispatcher.finished:
        world.step()
        starts += sum(isinstance(decision, StartActor) for decision in world.batch)
    assert starts == 2


def test_a_large_demand_is_not_starved_by_small_ones() -> None:
    small = [PoolSpec(f"s{n}", units(f"s{n}", 30)) for n in range(4)]
    large = PoolSpec("large", units("large", 5), {"CPU": 2.0})
    world = World([*small, large], {"CPU": 2.0}, limits=Limits(turn_s=5.0)).run()
    assert world.first_start["large"] < 60
    assert len(world.labelled) == len(all_rows(*small, large))


def test_what_comes_free_is_kept_for_a_large_demand_that_has_waited_a_turn() -> None:
    first, second, third = (PoolSpec(f"s{n}", units(f"s{n}", 9)) for n in range(3))
    large = PoolSpec("large", units("large", 1), {"CPU": 2.0})
    dispatcher = Dispatcher([first, second, large, third], {"CPU": 2.0}, Limits(turn_s=5.0))
    actors = {d.pool: d.actor for d in dispatcher.decide(0.0) if isinstance(d, StartActor)}
    assert set(actors) == {"s0", "s1"}
    held = {}
    for name, actor in actors.items():
        dispatcher.ready(actor, 0.0)
        held[name] = [d.unit for d in dispatcher.decide(0.0) if isinstance(d, Assign)]
    assert dispatcher.decide(6.0) == []
    for unit in held["s0"]:
        dispatcher.done(actors["s0"], unit.id)
    assert dispatcher.decide(6.0) == [StopActor("s0", actors["s0"])]
    assert dispatcher.decide(7.0) == [], "half of what `large` needs is free, and `s2` would fit"
    for unit in held["s1"]:
        dispatcher.done(actors["s1"], unit.id)
    assert [type(d).__name__ + d.pool for d in dispatcher.decide(8.0)] == ["StopActors1", "StartActorlarge"]


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (2, 2), (20, 3)])
def test_a_pool_grows_with_its_backlog(count: int, expected: int) -> None:
    dispatcher = Dispatcher([PoolSpec("a", units("a", count), {"CPU": 1.0}, 2, 3)], {"CPU": 8.0})
    assert sum(isinstance(decision, StartActor) for decision in dispatcher.decide(0.0)) == expected


def test_reports_of_actors_that_are_gone_are_ignored() -> None:
    [unit] = units("a", 1)
    dispatcher = Dispatcher([PoolSpec("a", (unit,))], {"CPU": 1.0})
    [start] = dispatcher.decide(0.0)
    assert isinstance(start, StartActor)
    dispatcher.ready(start.actor, 0.0)
    dispatcher.decide(0.0)
    dispatcher.died(start.actor, "killed", 0.0)
    dispatcher.died(start.actor, "killed again", 0.0)
    dispatcher.done(start.actor, unit.id)
    [again] = [decision for decision in dispatcher.decide(1.0) if isinstance(decision, StartActor)]
    dispatcher.ready(again.actor, 1.0)
    assert [d.attempt for d in dispatcher.decide(1.0) if isinstance(d, Assign)] == [2]


def test_nothing_to_do_ends_at_once() -> None:
    dispatcher = Dispatcher([PoolSpec("a", ())], {"CPU": 1.0})
    assert dispatcher.decide(0.0) == [FinishPool("a")]
    assert dispatcher.finished
