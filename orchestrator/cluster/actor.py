"""The labelling actor: a plain class around `TeacherHost`; `labelling.py` turns it into a Ray actor.

Nothing large enters or leaves: units and receipts are packed (`wire.py`), labels go from the host straight to the
cache. Failures come back as values, because Ray would wrap an exception in a class of its own making; only the death
of the process reaches the driver as an exception.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Literal

from foundation.errors import RaydistillError, StorageError, TeacherError
from orchestrator.cluster.wire import Packed, pack_receipt, unpack_unit
from orchestrator.cluster.worker import WorkerSpec, enter, open_host
from teachers.host import TeacherHost
from teachers.meter import TeacherMeter
from teachers.prepare import Prepared

Verdict = Literal["retry", "pool", "run"]


@dataclass(frozen=True)
class Failed:
    """Something went wrong, but the process lives.

    `verdict`: retry = the rows may be to blame, try again and cut; pool = this teacher can't go on; run = nobody can.
    """

    error: RaydistillError
    verdict: Verdict


@dataclass(frozen=True)
class Ready:
    """The teacher is loaded: in process `pid`, in `seconds`, after `loads` loads in this process."""

    pid: int
    seconds: float
    loads: int


class LabelActor:
    """Hosts one teacher."""

    def __init__(self) -> None:
        self._host: TeacherHost | None = None

    def open(
        self, spec: WorkerSpec, teacher: str, batch_size: int, prepared: Prepared | None, device: str, same: bool
    ) -> Ready | Failed:
        """Opens data, cache and teacher. Any failure here ends the pool, whichever rows are asked for."""
        started = time.monotonic()
        try:
            enter(spec, same_machine=same)
            self._host = open_host(spec, teacher, batch_size, prepared, device)
        except Exception as error:
            return Failed(_plain(error, teacher), "pool")
        return Ready(os.getpid(), time.monotonic() - started, TeacherMeter.loads(teacher))

    def label(self, packed: Packed, attempt: int) -> Packed | Failed:
        """Labels one unit and returns its packed receipt."""
        unit = unpack_unit(packed)
        assert self._host is not None, "open comes first"
        try:
            return pack_receipt(self._host.label(unit, attempt))
        except Exception as error:
            return Failed(_plain(error, unit.teacher), verdict(error))


def verdict(error: BaseException) -> Verdict:
    """What a failure to label means.

    A foreign exception that the host has wrapped may be these rows' fault. A verdict of our own (policy `error`, other
    data than planned) would be the same next time. Storage fails for everybody.
    """
    if isinstance(error, StorageError):
        return "run"
    if isinstance(error, RaydistillError) and error.__cause__ is None:
        return "pool"
    return "retry"


def _plain(error: Exception, teacher: str) -> RaydistillError:
    if isinstance(error, RaydistillError):
        return error
    text = f"{type(error).__name__}: {error}"[:400]
    return TeacherError("A teacher's host failed.", found=text, where=f"teachers.{teacher}")
