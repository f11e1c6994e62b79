"""What every benchmark shares: rows with gates, fair side-by-side rounds, a table for people, one object for machines.

A benchmark is a module with a `measure(options) -> list[Row]` and `main = harness.command("name", measure)`. Ratios
come from rounds that alternate their contestants within one run, so that a busy machine slows all of them alike.
Not here: what is measured; that is each benchmark's own file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

VERSIONS_OF = ("raydistill", "torch", "ray", "pyarrow", "numpy", "scikit-learn")


@dataclass(frozen=True)
class Row:
    """One measured value.

    Attributes:
        id: short stable name.
        what: the value in words.
        value: the number.
        unit: of the value, the gate and the aim.
        gate: bound that must be met, as text: ">= 9" or "<= 2"; None where the value is only told.
        aim: bound we would like, same form; missing it is no failure.
    """

    id: str
    what: str
    value: float
    unit: str
    gate: str | None = None
    aim: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the gate is met; a value without a gate is fine. NaN meets no gate."""
        return self.gate is None or meets(self.value, self.gate)

    def to_json(self) -> dict[str, Any]:
        finite = self.value == self.value and abs(self.value) != float("inf")
        return {
            "id": self.id,
            "what": self.what,
            "value": self.value if finite else None,
            "unit": self.unit,
            "gate": self.gate,
            "aim": self.aim,
            "ok": self.ok,
        }


def meets(value: float, bound: str) -> bool:
    """Whether `value` meets a bound such as '>= 3.5', '<= 2', '== 0'. Raises ValueError for any other text."""
    sign, _, number = bound.partition(" ")
    limit = float(number)
    if sign == ">=":
        return value >= limit
    if sign == "<=":
        return value <= limit
    if sign == "==":
        return value == limit
    raise ValueError(f"a bound is '>= x', '<= x' or '== x', not {bound!r}")


@dataclass(frozen=True)
class Rounds:
    """Seconds per contestant, one number per round, measured side by side."""

    seconds: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def median(self, name: str) -> float:
        """Median seconds of one contestant."""
        return statistics.median(self.seconds[name])

    def ratio(self, name: str, reference: str) -> float:
        """Median over rounds of (seconds of `name` / seconds of `reference`): how many times longer `name` takes."""
        pairs = zip(self.seconds[name], self.seconds[reference], strict=True)
        return statistics.median(mine / other for mine, other in pairs)


def side_by_side(contestants: Mapping[str, Callable[[], object]], *, rounds: int = 7, warmup: int = 1) -> Rounds:
    """Times each contestant once per round, in turn; every second round runs in reverse order.

    The warm-up rounds are run and thrown away. Returns the seconds of all other rounds.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(-warmup, rounds):
        order = list(contestants) if number % 2 == 0 else list(contestants)[::-1]
        for name in order:
            start = time.perf_counter()
            contestants[name]()
            if number >= 0:
                seconds[name].append(time.perf_counter() - start)
    return Rounds(seconds)


def machine() -> dict[str, Any]:
    """The machine in general terms: no host name, no path, no user."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = {}
    for name in VERSIONS_OF:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": usable,
        "memory_gib": round(memory, 1),
        "python": platform.python_version(),
        "versions": versions,
    }


def table(name: str, rows: Sequence[Row]) -> str:
    """The rows as plain text for people."""
    lines = [["id", "what", "value", "unit", "gate", "aim", ""]]
    for row in rows:
        verdict = "" if row.gate is None else ("ok" if row.ok else "MISSED")
        lines.append([row.id, row.what, f"{row.value:.4g}", row.unit, row.gate or "", row.aim or "", verdict])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([name, *text])


def finish(name: str, rows: Sequence[Row], *, as_json: bool) -> int:
    """Prints the result and returns the exit code: 0, or 1 when a gate is missed."""
    if as_json:
        report = {"benchmark": name, "machine": machine(), "rows": [row.to_json() for row in rows]}
        print(json.dumps(report, ensure_ascii=False, allow_nan=False))
    else:
        print(table(name, rows))
    return 0 if all(row.ok for row in rows) else 1


def command(
    name: str,
    measure: Callable[[argparse.Namespace], Sequence[Row]],
    *,
    arguments: Callable[[argparse.ArgumentParser], object] | None = None,
) -> Callable[..., int]:
    """Returns a `main(argv=None)` for a benchmark. Progress goes to stderr, the result alone to stdout."""

    def main(argv: Sequence[str] | None = None) -> int:
        parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
        if arguments is not None:
            arguments(parser)
        options = parser.parse_args(argv)
        return finish(name, measure(options), as_json=options.json)

    return main


def say(text: str) -> None:
    """One line of progress, on stderr."""
    print(text, file=sys.stderr, flush=True)
