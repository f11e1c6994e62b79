"""The one family of errors.

Every error says what was expected, what was found, where, and what to try next; it survives pickling, so it can
travel from a worker to the driver; and it never carries a secret (callers pass references, not values).
The exit code of the command line is a property of the class. See DESIGN: 0 done, 1 unexpected, 2 usage or config,
3 preflight refused, 4 teacher or data problem, 5 storage, 6 cluster, 75 try again, 130/143 stopped and resumable.
"""

from __future__ import annotations

from typing import Any, ClassVar


class RaydistillError(Exception):
    """Base of the family: a sentence, and four optional facts that make it useful.

    Args:
        summary: one plain sentence, what went wrong.
        expected: what should have been there.
        found: what was there instead.
        where: file, key, shard, teacher or row.
        next_step: the command or change that leads on.
    """

    code: ClassVar[str] = "E-UNEXPECTED"
    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        summary: str,
        *,
        expected: object = None,
        found: object = None,
        where: object = None,
        next_step: str | None = None,
    ) -> None:
        self.summary = summary
        self.expected = None if expected is None else str(expected)
        self.found = None if found is None else str(found)
        self.where = None if where is None else str(where)
        self.next_step = next_step
        super().__init__(summary)

    def __str__(self) -> str:
        facts = [("expected", self.expected), ("found", self.found), ("where", self.where), ("try", self.next_step)]
        lines = [f"{self.code}: {self.summary}"]
        lines += [f"  {name}: {value}" for name, value in facts if value]
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), dict(self.__dict__))

    def to_dict(self) -> dict[str, Any]:
        """The error as plain JSON values, for `--json` and journals."""
        facts = {"expected": self.expected, "found": self.found, "where": self.where, "next_step": self.next_step}
        return {"code": self.code, "summary": self.summary, **{k: v for k, v in facts.items() if v}}


def _rebuild(cls: type[RaydistillError], state: dict[str, Any]) -> RaydistillError:
    error = cls.__new__(cls)
    Exception.__init__(error, state.get("summary", ""))
    error.__dict__.update(state)
    return error


class ConfigError(RaydistillError):
    """The configuration or the command line is wrong. `problems` holds each one with its place."""

    code = "E-CONFIG"
    exit_code = 2

    def __init__(self, summary: str, *, problems: tuple[str, ...] = (), **facts: Any) -> None:
        super().__init__(summary, **facts)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(f"  - {problem}" for problem in self.problems)])

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "problems": list(self.problems)}


class PluginError(ConfigError):
    """A plug-in is unknown, shadowed, broken or has no version."""

    code = "E-PLUGIN"


class PreflightError(RaydistillError):
    """Something was refused before any work started."""

    code = "E-PREFLIGHT"
    exit_code = 3


class InfeasibleError(PreflightError):
    """No node of the cluster could ever hold what was asked for."""

    code = "E-INFEASIBLE"


class DataError(RaydistillError):
    """Rows are missing, malformed or not what a teacher or student was given."""

    code = "E-DATA"
    exit_code = 4


class TeacherError(RaydistillError):
    """A teacher failed, or answered with something that can't be a label."""

    code = "E-TEACHER"
    exit_code = 4


class QuarantineError(TeacherError):
    """Labelling ended, but some rows had to be set aside. `rows` lists them as (teacher, row key in hex, reason)."""

    code = "E-QUARANTINE"

    def __init__(self, summary: str, *, rows: tuple[tuple[str, str, str], ...] = (), **facts: Any) -> None:
        super().__init__(summary, **facts)
        self.rows = rows

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "rows": [list(row) for row in self.rows]}


class StorageError(RaydistillError):
    """Reading or writing the cache, a checkpoint or a run folder failed."""

    code = "E-STORAGE"
    exit_code = 5


class CorruptionError(StorageError):
    """Stored bytes are not the bytes that were committed."""

    code = "E-CORRUPT"


class FormatError(StorageError):
    """Stored data has a format, or a header, that this version doesn't write or read."""

    code = "E-FORMAT"


class StorageFullError(StorageError):
    """No space is left where something has to be written."""

    code = "E-FULL"


class ClusterError(RaydistillError):
    """Ray could not do what was asked."""

    code = "E-CLUSTER"
    exit_code = 6


class ClusterLostError(ClusterError):
    """The cluster went away in mid-run; the same command on a fresh one goes on."""

    code = "E-CLUSTER-LOST"
    exit_code = 75


class LockedError(RaydistillError):
    """Another driver works in the same run folder."""

    code = "E-LOCKED"
    exit_code = 75


class StoppedError(RaydistillError):
    """A signal stopped the run; everything finished so far is kept. `signal_number` decides between 130 and 143."""

    code = "E-STOPPED"
    exit_code = 130

    def __init__(self, summary: str, *, signal_number: int = 2, **facts: Any) -> None:
        super().__init__(summary, **facts)
        self.signal_number = signal_number
