"""From events to what people see: a table from the kind of event to a renderer.

Unknown kinds are recorded and not shown, and a renderer asks for fields by name, so a floor may add events without
this file knowing. Nothing here knows a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from foundation.events import Event
from orchestrator.observe.events import Note, StageDone, StageStarted, Warned, WorkDone, WorkEnded, WorkPlanned

Style = Literal["plain", "stage", "done", "warning"]


@dataclass(frozen=True)
class Line:
    """A line of text."""

    text: str
    style: Style = "plain"


@dataclass(frozen=True)
class Work:
    """A change of a bar: opened with `total`, moved by `amount`, closed with `ended`."""

    name: str
    amount: int = 0
    total: int | None = None
    unit: str = "rows"
    done: int = 0
    detail: str = ""
    ended: bool = False


Change = Line | Work
Renderer = Callable[[Any], Iterable[Change]]


def render(event: Event) -> list[Change]:
    """Returns what is to be shown for an event: nothing for a kind that isn't in the table."""
    renderer = RENDERERS.get(event.kind)
    return list(renderer(event)) if renderer else []


def _get(event: Any, name: str, default: Any = "") -> Any:
    value = getattr(event, name, None)
    return default if value is None else value


def _stage_started(event: StageStarted) -> Iterable[Change]:
    yield Line(f"{event.stage}: {event.detail}" if event.detail else event.stage, "stage")


def _stage_done(event: StageDone) -> Iterable[Change]:
    how = "reused" if event.reused else f"done in {event.seconds:.1f} s"
    yield Line(f"{event.stage} {how}{': ' + event.detail if event.detail else ''}", "done")


def _work_planned(event: WorkPlanned) -> Iterable[Change]:
    yield Work(event.work, total=event.total, unit=event.unit, done=event.done)


def _work_done(event: WorkDone) -> Iterable[Change]:
    yield Work(event.work, event.amount, detail=event.detail)


def _work_ended(event: WorkEnded) -> Iterable[Change]:
    yield Work(event.work, ended=True)


def _note(event: Note) -> Iterable[Change]:
    yield Line(event.text)


def _warned(event: Warned) -> Iterable[Change]:
    yield Line(event.text, "warning")


def _unit_done(event: Any) -> Iterable[Change]:
    # Rows that were set aside come as `RowQuarantined`, one event each.
    yield Work(_teacher(event), int(_get(event, "rows", default=0)))


def _actor_ready(event: Any) -> Iterable[Change]:
    yield Line(
        f"{_teacher(event)}: actor ready in {_get(event, 'seconds', default=0.0):.1f} s (process {_get(event, 'pid')})"
    )


def _actor_died(event: Any) -> Iterable[Change]:
    yield Line(f"{_teacher(event)}: an actor died ({_get(event, 'reason', default='no reason given')})", "warning")


def _unit_requeued(event: Any) -> Iterable[Change]:
    parts = int(_get(event, "parts", default=1))
    how = f"is tried again in {parts} parts" if parts > 1 else "is tried again"
    yield Line(f"{_teacher(event)}: a unit of {_get(event, 'rows', default='some')} rows {how}", "warning")


def _pool_waiting(event: Any) -> Iterable[Change]:
    yield Line(f"{_teacher(event)}: waiting for {_get(event, 'wants', default='free resources')}")


def _pool_done(event: Any) -> Iterable[Change]:
    yield Work(_teacher(event), ended=True)


def _pool_failed(event: Any) -> Iterable[Change]:
    left = _get(event, "units_left", default="some")
    yield Work(_teacher(event), ended=True)
    yield Line(f"{_teacher(event)}: given up, {left} units left: {_get(event, 'reason')}", "warning")


def _row_quarantined(event: Any) -> Iterable[Change]:
    yield Work(_teacher(event), 1)
    yield Line(f"{_teacher(event)}: row {_get(event, 'row_key')} set aside: {_get(event, 'reason')}", "warning")


def _checkpoint_damaged(event: Any) -> Iterable[Change]:
    yield Line(f"checkpoint {_get(event, 'path')} is not used: {_get(event, 'reason')}", "warning")


def _training_resumed(event: Any) -> Iterable[Change]:
    yield Line(f"training goes on: {_get(event, 'name')}, seed {_get(event, 'seed')}, epoch {_get(event, 'epoch')}")


def _teacher(event: Any) -> str:
    return str(_get(event, "teacher", default="teacher"))


RENDERERS: dict[str, Renderer] = {
    "StageStarted": _stage_started,
    "StageDone": _stage_done,
    "WorkPlanned": _work_planned,
    "WorkDone": _work_done,
    "WorkEnded": _work_ended,
    "Note": _note,
    "Warned": _warned,
    "UnitDone": _unit_done,
    "ActorReady": _actor_ready,
    "ActorDied": _actor_died,
    "PoolWaiting": _pool_waiting,
    "RowQuarantined": _row_quarantined,
    "UnitRequeued": _unit_requeued,
    "PoolDone": _pool_done,
    "PoolFailed": _pool_failed,
    "CheckpointDamaged": _checkpoint_damaged,
    "TrainingResumed": _training_resumed,
}
