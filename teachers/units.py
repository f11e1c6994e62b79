"""The unit of labelling (some rows, one teacher) and the receipt that tells what became of it.

Both are small values: units travel to the workers, receipts come back; labels themselves never do.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from foundation.fingerprint import fingerprint
from teachers.row_keys import from_hex, to_hex


@dataclass(frozen=True)
class Unit:
    """Rows that one teacher labels in one go.

    Attributes:
        teacher: name in the configuration.
        entry: id of the cache entry the labels belong to.
        positions: positions of the rows in the run's data, for reading them.
        keys: row keys as hex; a worker compares them with what it reads before it labels.
    """

    teacher: str
    entry: str
    positions: tuple[int, ...]
    keys: tuple[str, ...]

    @property
    def id(self) -> str:
        """32 hex digits over the entry and the row keys: equal work has an equal id in every run."""
        return fingerprint({"entry": self.entry, "rows": list(self.keys)})[:32]

    def split(self) -> tuple[Unit, Unit]:
        """Returns the two halves (needs at least two rows)."""
        half = len(self.keys) // 2
        first = Unit(self.teacher, self.entry, self.positions[:half], self.keys[:half])
        return first, Unit(self.teacher, self.entry, self.positions[half:], self.keys[half:])


@dataclass(frozen=True)
class Receipt:
    """Proof that a shard with a unit's labels is stored.

    Attributes:
        unit: id of the unit.
        entry: id of the cache entry.
        shard: blake3 digest of the shard's bytes, which is also its name.
        bytes: size of the shard.
        keys: row keys in the shard, hex, in order. Rows that were set aside are not among them.
        quarantined: (row key in hex, reason) of rows the teacher could not label.
        nonfinite: number of values that were clipped by policy.
        attempt: 1 for the first try of this unit.
        run: id of the run that paid for the labels.
        stage: stage during which the teacher was asked.
        seconds: time the teacher took to answer.
        batch_size: rows asked at a time, after any halving for lack of memory.
    """

    unit: str
    entry: str
    shard: str
    bytes: int
    keys: tuple[str, ...]
    quarantined: tuple[tuple[str, str], ...] = ()
    nonfinite: int = 0
    attempt: int = 1
    run: str = ""
    stage: str = "label"
    seconds: float = 0.0
    batch_size: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return len(self.keys)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "keys": "".join(self.keys), "quarantined": [list(item) for item in self.quarantined]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Receipt:
        keys = tuple(to_hex(from_hex([data["keys"]]))) if data["keys"] else ()
        quarantined = tuple((item[0], item[1]) for item in data["quarantined"])
        return cls(**{**data, "keys": keys, "quarantined": quarantined})
