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


def _get(event: Any, *names: str, default: Any = "") -> Any:
    for name in names:
        if (value := getattr(event, name, None)) is not None:
            return value
    return default


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
    receipt = _get(event, "receipt", default=None)
    rows = len(receipt.keys) + len(receipt.quarantined) if receipt is not None else _get(event, "rows", default=0)
    yield Work(_teacher(event), int(rows))


def _actor_ready(event: Any) -> Iterable[Change]:
    pid = _get(event, "pid")
    yield Line(f"{_teacher(event)}: actor ready{f' (process {pid})' if pid else ''}")


def _actor_died(event: Any) -> Iterable[Change]:
    why = _get(event, "reason", "cause")
    yield Line(f"{_teacher(event)}: an actor died{f' ({why})' if why else ''}; its work goes to another", "warning")


def _pool_waiting(event: Any) -> Iterable[Change]:
    yield Line(
        f"{_teacher(event)}: waiting for {_get(event, 'resources', 'demand', 'wants', default='free resources')}"
    )


def _row_quarantined(event: Any) -> Iterable[Change]:
    key, reason = _get(event, "key", "row", "row_key"), _get(event, "reason", default="no reason given")
    yield Line(f"{_teacher(event)}: row {key} set aside: {reason}", "warning")


def _teacher(event: Any) -> str:
    name = _get(event, "teacher", "pool", "name", default="teacher")
    return str(name)


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
}
