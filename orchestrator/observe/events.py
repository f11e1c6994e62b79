"""What the top floor itself tells: stages, amounts of work, sentences. Other floors' events live beside their code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from foundation.events import Event


@dataclass(frozen=True)
class StageStarted(Event):
    """A stage begins. `detail` is a short sentence for people."""

    stage: str
    detail: str = ""


@dataclass(frozen=True)
class StageDone(Event):
    """A stage is finished; `reused` when nothing had to be done because an earlier run did it."""

    stage: str
    seconds: float
    detail: str = ""
    reused: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WorkPlanned(Event):
    """Opens a bar: `total` amounts of `unit` are to be done under the name `work`, `done` of them are done."""

    work: str
    total: int
    unit: str = "rows"
    done: int = 0


@dataclass(frozen=True)
class WorkDone(Event):
    """Moves the bar `work` by `amount`; `detail` is shown beside it."""

    work: str
    amount: int = 1
    detail: str = ""


@dataclass(frozen=True)
class WorkEnded(Event):
    """Closes the bar `work`."""

    work: str


@dataclass(frozen=True)
class Note(Event):
    """A sentence worth showing."""

    text: str


@dataclass(frozen=True)
class Warned(Event):
    """A sentence worth showing in colour: the run goes on, but the user should know."""

    text: str
