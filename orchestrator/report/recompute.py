"""`report RUN --recompute`: derives every number of a stored report again and names those that differ.

Nothing of `report.json` is read but to compare. The counters are copied into a report from `counters.json`; give
`recount` to sum them again from receipts and journals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orchestrator.report.build import REPORT_JSON, build
from orchestrator.report.files import read_json
from orchestrator.report.inputs import Counters

TOLERANCE = 1e-9


@dataclass(frozen=True)
class Difference:
    """A value that does not reproduce; `path` as in `students[2].test_accuracy.mean`."""

    path: str
    stored: Any
    recomputed: Any

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.path}: stored {self.stored!r}, recomputed {self.recomputed!r}"


def recompute(run_dir: Path, recount: Callable[[Path], Counters] | None = None) -> list[Difference]:
    """Returns the differences between the stored report and one derived again; empty = everything reproduces.

    Numbers count as equal within 1e-9, everything else must be equal. Raises as `build` does.
    """
    stored = read_json(run_dir / REPORT_JSON)
    again = build(run_dir)
    if recount is not None:
        again["counters"] = recount(run_dir).model_dump(mode="json")
    return list(_differences(stored, again, ""))


def _differences(stored: Any, again: Any, path: str) -> Iterator[Difference]:
    if isinstance(stored, dict) and isinstance(again, dict):
        for key in sorted({*stored, *again}):
            place = f"{path}.{key}" if path else key
            if key in stored and key in again:
                yield from _differences(stored[key], again[key], place)
            else:
                yield Difference(place, stored.get(key, "(absent)"), again.get(key, "(absent)"))
    elif isinstance(stored, list) and isinstance(again, list) and len(stored) == len(again):
        for index, (one, two) in enumerate(zip(stored, again, strict=True)):
            yield from _differences(one, two, f"{path}[{index}]")
    elif _is_number(stored) and _is_number(again):
        if abs(stored - again) > TOLERANCE:
            yield Difference(path, stored, again)
    elif stored != again:
        yield Difference(path, stored, again)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
