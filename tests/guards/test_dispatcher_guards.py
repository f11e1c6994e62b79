"""Three rules of the dispatcher, each in the smallest history that needs it."""

from __future__ import annotations

from orchestrator.cluster.decisions import Assign, Decision, Limits, PoolSpec, StartActor, StopActor
from orchestrator.cluster.dispatcher import Dispatcher
from teachers.units import Unit


def units(teacher: str, count: int) -> tuple[Unit, ...]:
    keys = [f"{teacher}-{index}-a {teacher}-{index}-b".split() for index in range(count)]
    return tuple(Unit(teacher, "e", (2 * index, 2 * index + 1), tuple(two)) for index, two in enumerate(keys))


def started(decisions: list[Decision]) -> list[str]:
    return [one.pool for one in decisions if isinstance(one, StartActor)]


def assigned(decisions: list[Decision]) -> list[str]:
    return [one.unit.id for one in decisions if isinstance(one, Assign)]


def test_a_suspect_waits_until_its_actor_is_empty() -> None:
    first, second, third = units("t", 3)
    dispatcher = Dispatcher([PoolSpec("t", (first, second, third))], {"CPU": 1})
    dispatcher.decide(0)
    dispatcher.ready(1, 0)
    assert assigned(dispatcher.decide(0)) == [first.id, second.id]
    dispatcher.died(1, "killed", 1)  # `first` is a suspect from now on
    assert started(dispatcher.decide(1)) == ["t"]
    dispatcher.ready(2, 1)
    assert assigned(dispatcher.decide(1)) == [second.id, third.id]
    dispatcher.done(2, second.id)
    assert assigned(dispatcher.decide(2)) == []  # there is room for one more, but not for a suspect
    dispatcher.done(2, third.id)
    assert assigned(dispatcher.decide(3)) == [first.id]


def test_what_comes_free_is_kept_for_a_large_demand_that_waits() -> None:
    small = {"CPU": 1.0}
    pools = [PoolSpec(name, units(name, 1 if name == "a" else 9), small) for name in ("a", "b")]
    pools += [PoolSpec("large", units("large", 9), {"CPU": 2.0}), PoolSpec("c", units("c", 9), small)]
    dispatcher = Dispatcher(pools, {"CPU": 2}, Limits(turn_s=60))
    assert started(dispatcher.decide(0)) == ["a", "b"]
    for actor in (1, 2):
        dispatcher.ready(actor, 0)
    work = {one.actor: one.unit.id for one in dispatcher.decide(0) if isinstance(one, Assign) and one.pool == "a"}
    dispatcher.done(1, work[1])
    decisions = dispatcher.decide(100)  # `a` is done and gives its CPU back; `b` still holds the other
    assert [one.pool for one in decisions if isinstance(one, StopActor)] == ["a"]
    assert started(decisions) == [], "a small pool took what the large one waits for"


def test_a_report_about_a_unit_the_actor_does_not_hold_changes_nothing() -> None:
    (only,) = units("t", 1)
    dispatcher = Dispatcher([PoolSpec("t", (only,))], {"CPU": 1})
    dispatcher.decide(0)
    dispatcher.ready(1, 0)
    assert assigned(dispatcher.decide(0)) == [only.id]
    dispatcher.done(1, "some other unit")
    dispatcher.decide(1)
    assert not dispatcher.finished
    dispatcher.done(1, only.id)
    dispatcher.decide(2)
    assert dispatcher.finished
