"""What the cluster tells while it works. Numbers and names only: no labels, no inputs, no secrets."""

from __future__ import annotations

from dataclasses import dataclass

from foundation.events import Event


@dataclass(frozen=True)
class PoolWaiting(Event):
    """A teacher has work but no actor yet; `wants` says what for."""

    teacher: str
    seconds: float
    wants: str


@dataclass(frozen=True)
class ActorReady(Event):
    """An actor has loaded its teacher, which took `seconds`."""

    teacher: str
    actor: int
    pid: int
    seconds: float


@dataclass(frozen=True)
class ActorDied(Event):
    """An actor is gone; `pid` is 0 if it never came up."""

    teacher: str
    actor: int
    pid: int
    reason: str


@dataclass(frozen=True)
class UnitDone(Event):
    """A unit's labels are stored: `rows` labelled, `quarantined` set aside by policy, in `seconds` of teacher time."""

    teacher: str
    unit: str
    rows: int
    quarantined: int
    seconds: float
    attempt: int
    batch_size: int


@dataclass(frozen=True)
class UnitRequeued(Event):
    """A unit waits again, whole or in `parts`, after `deaths` that were its fault."""

    teacher: str
    unit: str
    rows: int
    deaths: int
    parts: int
    reason: str


@dataclass(frozen=True)
class RowQuarantined(Event):
    """A row was set aside: its teacher can't label it."""

    teacher: str
    row_key: str
    reason: str


@dataclass(frozen=True)
class LabelsPublished(Event):
    """Labels became visible in the cache, up to this generation of the teacher's entry."""

    teacher: str
    generation: int
    units: int


@dataclass(frozen=True)
class PoolDone(Event):
    """All of a teacher's units are done or set aside."""

    teacher: str


@dataclass(frozen=True)
class PoolFailed(Event):
    """A teacher was given up; the others go on. `units_left` were not done."""

    teacher: str
    reason: str
    units_left: int


@dataclass(frozen=True)
class StudentProgress(Event):
    """A student of the roster has finished an epoch (told at most a few times a second)."""

    name: str
    seed: int
    epoch: int
    epochs: int
    loss: float | None


@dataclass(frozen=True)
class StudentDone(Event):
    """A student is trained and stored. `reused`: it was found finished from an earlier attempt."""

    name: str
    seed: int
    epochs: int
    seconds: float
    reused: bool


@dataclass(frozen=True)
class CheckpointDamaged(Event):
    """A checkpoint isn't what was written; an older one is used."""

    path: str
    reason: str


@dataclass(frozen=True)
class TrainingResumed(Event):
    """Training goes on from a checkpoint, or from the first epoch of the next unfinished student (`epoch` 0)."""

    name: str
    seed: int
    epoch: int


@dataclass(frozen=True)
class TrialDone(Event):
    """A trial has its record. `status`: finished, stopped or failed; `reused`: it was on record already."""

    key: str
    name: str
    status: str
    score: float | None
    epochs: int
    reused: bool
