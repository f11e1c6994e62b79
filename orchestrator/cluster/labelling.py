"""Labelling on Ray: carries out what the dispatcher decides and tells about it in events.

One loop in the driver. It starts and ends actors, hands out units, takes in receipts, publishes them in groups (one
generation for many units), and waits for nothing without a limit. What to do next is `dispatcher.py`'s business, what
happens inside an actor `actor.py`'s; how the run reacts to quarantined rows is decided above.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any
from uuid import uuid4

import numpy as np
import ray
from ray import exceptions as ray_errors

from foundation.errors import RaydistillError, TeacherError
from foundation.events import Event
from orchestrator.cluster import events
from orchestrator.cluster.actor import Failed, Ready
from orchestrator.cluster.config import demand
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
from orchestrator.cluster.feasible import check_feasible
from orchestrator.cluster.hosted import Hosted, PoolTask, given_up, start_actor, why_it_died
from orchestrator.cluster.publisher import Publisher
from orchestrator.cluster.session import Session
from orchestrator.cluster.vitals import lost
from orchestrator.cluster.wire import pack_unit, unpack_receipt
from orchestrator.cluster.worker import WorkerSpec
from orchestrator.journal import Journal
from teachers.units import Unit

__all__ = ["PoolTask", "label"]

_GET_TIMEOUT_S = 30.0
_POLL_S = 0.2
_SHOW_WAITING_AFTER_S = 3.0
_SHOW_WAITING_EVERY_S = 10.0


def label(
    session: Session,
    tasks: Sequence[PoolTask],
    spec: WorkerSpec,
    *,
    journal: Journal,
    limits: Limits | None = None,
    publish_every_s: float = 1.0,
) -> Generator[Event, None, None]:
    """Labels all units of all tasks; each is visible in the cache before the iterator ends.

    Raises `InfeasibleError` before any work when no node could ever hold an actor; `StorageError` at once when the
    cache can't be written; at the end `TeacherError` when teachers were given up (the others are finished by then);
    `ClusterLostError` when Ray goes away. Closing the iterator early drops open units and publishes finished ones.
    """
    if not any(task.units for task in tasks):
        return  # no actor, and no need of Ray
    session.ready()
    yield from check_feasible(session, {f"teacher {task.teacher!r}": demand(task.pool) for task in tasks if task.units})
    run = _Labelling(session, tasks, spec, journal, limits or Limits(), publish_every_s)
    try:
        yield from run.loop()
    finally:
        run.close()
    run.raise_failures()


class _Labelling:
    """The loop's state."""

    def __init__(
        self,
        session: Session,
        tasks: Sequence[PoolTask],
        spec: WorkerSpec,
        journal: Journal,
        limits: Limits,
        publish_every_s: float,
    ) -> None:
        self._session, self._spec, self._journal = session, spec, journal
        self._tasks = {task.teacher: task for task in tasks}
        self._publisher = Publisher({task.teacher: task.entry for task in tasks}, spec.run, publish_every_s)
        pools = [PoolSpec(task.teacher, task.units, demand(task.pool), task.pool.min, task.pool.max) for task in tasks]
        self._dispatcher = Dispatcher(pools, session.capacity(), limits, time.monotonic())
        self._actors: dict[int, Hosted] = {}
        self._failures: dict[str, RaydistillError] = {}
        self._shown: dict[str, float] = {}
        # On somebody else's cluster hosts differ and nodes come and go; a private one is this machine.
        self._private = session.config.address is None
        self._looked_at = time.monotonic()

    def loop(self) -> Iterator[Event]:
        while True:
            self._session.pulse()
            now = time.monotonic()
            for decision in self._dispatcher.decide(now):
                yield from self._carry_out(decision)
            if self._dispatcher.finished:
                yield from self._publisher.publish()
                return
            yield from self._publisher.publish_if_due(now)
            yield from self._tell_waiting(now)
            yield from self._collect()

    def close(self) -> None:
        """Ends every actor; what is stored but not published yet becomes visible."""
        for actor in [] if self._session.lost else list(self._actors.values()):
            with contextlib.suppress(Exception):
                ray.kill(actor.handle)
        self._actors.clear()
        for _ in self._publisher.publish():
            pass

    def raise_failures(self) -> None:
        """Raises what ended one or more pools."""
        if not self._failures:
            return
        if len(self._failures) == 1:
            raise next(iter(self._failures.values()))
        raise TeacherError(
            f"{len(self._failures)} teachers were given up; the others are labelled.",
            found="; ".join(f"{name}: {error.summary} {error.found or ''}" for name, error in self._failures.items()),
            next_step="mend or remove them, then run the same command again: finished labels are kept",
        )

    def _carry_out(self, decision: Decision) -> Iterator[Event]:
        match decision:
            case StartActor(pool, number):
                self._start(self._tasks[pool], number)
            case StopActor(_, number):
                if (actor := self._actors.pop(number, None)) is not None:
                    ray.kill(actor.handle)
            case Assign(_, number, unit, attempt):
                actor = self._actors[number]
                actor.waiting[actor.handle.label.remote(pack_unit(unit), attempt)] = unit
            case Requeue(pool, unit, deaths, parts, reason):
                yield events.UnitRequeued(pool, unit.id, len(unit.keys), deaths, parts, reason)
            case Quarantine(pool, unit, reason):
                yield from self._quarantine(self._tasks[pool], unit, reason)
            case FinishPool(pool):
                yield from self._publisher.publish(pool)
                yield events.PoolDone(pool)
            case FailPool(pool, reason, left):
                yield from self._publisher.publish(pool)
                self._failures.setdefault(pool, given_up(pool, reason, left))
                yield events.PoolFailed(pool, reason, left)

    def _start(self, task: PoolTask, number: int) -> None:
        self._actors[number] = start_actor(task, number, self._spec, same_machine=self._private)

    def _collect(self) -> Iterator[Event]:
        refs = {ref: number for number, actor in self._actors.items() for ref in actor.waiting}
        if not refs:
            time.sleep(0.05)  # a pause before a restart, or resources that others hold
            return
        try:
            done, _ = ray.wait(list(refs), num_returns=1, timeout=_POLL_S)
            if done:
                done, _ = ray.wait(list(refs), num_returns=len(refs), timeout=0)
            dead: dict[int, str] = {}
            for ref in done:
                try:
                    yield from self._take_in(refs[ref], ref, ray.get(ref, timeout=_GET_TIMEOUT_S))
                except ray_errors.RayActorError as error:
                    dead.setdefault(refs[ref], why_it_died(error))
        except (ray_errors.RaySystemError, ray_errors.GetTimeoutError, ConnectionError) as error:
            self._session.pulse()
            raise lost(f"{type(error).__name__}: {error}"[:300]) from error
        # Answers first, deaths after them: what an actor had finished must not be blamed for its end.
        for number, reason in dead.items():
            yield from self._bury(number, reason)

    def _take_in(self, number: int, ref: Any, answer: Any) -> Iterator[Event]:
        if (actor := self._actors.get(number)) is None:
            return
        unit = actor.waiting.pop(ref)
        teacher = actor.task.teacher
        match answer:
            case Ready():
                actor.pid = answer.pid
                record = {"teacher": teacher, "pid": answer.pid, "seconds": answer.seconds, "run": self._spec.run}
                self._journal.put("loads", f"{teacher}-{uuid4().hex}", {**record, "loads": answer.loads})
                self._dispatcher.ready(number, time.monotonic())
                yield events.ActorReady(teacher, number, answer.pid, answer.seconds)
            case Failed(error, "run"):
                raise error
            case Failed(error, "pool"):
                self._failures[teacher] = error
                self._dispatcher.give_up(teacher, error.summary)
            case Failed(error, _):
                assert unit is not None
                self._dispatcher.failed(number, unit.id, f"{error.summary} {error.found or ''}".strip())
            case _:
                assert unit is not None
                receipt = unpack_receipt(answer)
                self._publisher.add(teacher, receipt)
                self._dispatcher.done(number, unit.id)
                aside = len(receipt.quarantined)
                yield events.UnitDone(
                    teacher, unit.id, receipt.rows, aside, receipt.seconds, receipt.attempt, receipt.batch_size
                )
                for key, reason in receipt.quarantined:
                    yield events.RowQuarantined(teacher, key, reason)

    def _bury(self, number: int, reason: str) -> Iterator[Event]:
        if (actor := self._actors.pop(number, None)) is None:
            return
        record = {"teacher": actor.task.teacher, "pid": actor.pid, "reason": reason, "run": self._spec.run}
        self._journal.put("deaths", f"{actor.task.teacher}-{uuid4().hex}", record)
        self._dispatcher.died(number, reason, time.monotonic())
        yield events.ActorDied(actor.task.teacher, number, actor.pid, reason)

    def _quarantine(self, task: PoolTask, unit: Unit, reason: str) -> Iterator[Event]:
        nothing = np.empty((0, task.entry.key.num_classes), dtype=np.float32)
        aside = tuple((key, reason) for key in unit.keys)
        receipt = task.entry.write(unit, nothing, (), quarantined=aside, run=self._spec.run)
        self._publisher.add(task.teacher, receipt)
        for key in unit.keys:
            yield events.RowQuarantined(task.teacher, key, reason)

    def _tell_waiting(self, now: float) -> Iterator[Event]:
        for teacher, since in self._dispatcher.waiting().items():
            last = self._shown.get(teacher, since + _SHOW_WAITING_AFTER_S - _SHOW_WAITING_EVERY_S)
            if now - last >= _SHOW_WAITING_EVERY_S:
                self._shown[teacher] = now
                wants = ", ".join(f"{amount:g} {name}" for name, amount in demand(self._tasks[teacher].pool).items())
                yield events.PoolWaiting(teacher, now - since, wants)
        if not self._private and now - self._looked_at > 5.0:
            self._looked_at = now
            self._dispatcher.set_capacity(self._session.capacity())
