"""`make chaos`: kills drivers and labelling actors at random, until the counts below are reached, and judges each run.

    python -m tests.chaos.run [--json] [--rounds N] [--seed S]

Rounds go on until every count is met; the limit in minutes ends them in any case.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks import harness
from benchmarks.harness import Row
from tests.chaos.rounds import PHASES, Tally, kill_until_done, undisturbed

ACTOR_KILLS, DRIVER_KILLS, PER_PHASE, MINUTES = 150, 50, 5, 90
_ROUND = ("label", "label", "label", "search", "search", "train", "train", "export")
_ACTORS_PER_ROUND = 24


def enough(tally: Tally, actor_kills: int, driver_kills: int, per_phase: int) -> bool:
    """Whether the counts are met."""
    total = sum(tally.driver_kills.values())
    per_phase_met = all(tally.driver_kills[phase] >= per_phase for phase in PHASES)
    return tally.actor_kills >= actor_kills and total >= driver_kills and per_phase_met


def rows(tally: Tally, left: int, minutes: float) -> list[Row]:
    """The figures with their gates."""
    kills = tally.driver_kills
    return [
        Row("actor_kills", "labelling actors killed", tally.actor_kills, "kills", f">= {ACTOR_KILLS}"),
        Row("driver_kills", "drivers killed", sum(kills.values()), "kills", f">= {DRIVER_KILLS}"),
        *(Row(f"driver_kills_{name}", f"in {name}", kills[name], "kills", f">= {PER_PHASE}") for name in PHASES),
        Row("violations", "invariants that did not hold", len(tally.violations), "violations", "== 0"),
        Row("leftovers", "processes alive 30 s after their command", left, "processes", "== 0"),
        Row("rows_twice", "rows labelled more than once", tally.extra_rows, "rows", f"<= {tally.rows_allowed}"),
        Row("commands", "commands started", tally.commands, "commands"),
        Row("minutes", "whole duration", minutes, "min", f"<= {MINUTES}"),
    ]


def attack(work: Path, options: argparse.Namespace) -> list[Row]:
    """All rounds in `work`; a round's folder is removed when it held."""
    start = time.monotonic()
    tally = Tally()
    reference = undisturbed(work / "undisturbed", tally)
    number = left = 0
    while time.monotonic() - start < 60 * (MINUTES - 5):
        if number >= options.rounds or (options.rounds >= 99 and enough(tally, ACTOR_KILLS, DRIVER_KILLS, PER_PHASE)):
            break
        before = len(tally.violations)
        folder = work / f"round-{number}"
        kill_until_done(folder, _ROUND, _ACTORS_PER_ROUND, reference, options.seed + number, tally)
        left += report_leftovers(tally)
        if len(tally.violations) == before:
            shutil.rmtree(folder)
        number += 1
    left += report_leftovers(tally)
    for text in tally.violations:
        harness.say(f"VIOLATION {text}")
    return rows(tally, left, (time.monotonic() - start) / 60)


def report_leftovers(tally: Tally) -> int:
    """Names the processes that outlived their command, and counts them."""
    left = tally.leftovers()
    for (pid, _), what in left.items():
        harness.say(f"LEFT OVER process {pid}: {what}")
    return len(left)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, help="decides when and whom to kill")
    parser.add_argument("--rounds", type=int, default=99, help="rounds at most; 99 = until the counts are met")


def _measure(options: argparse.Namespace) -> list[Row]:
    work = Path(tempfile.mkdtemp(prefix="chaos-"))
    measured = attack(work, options)
    if all(row.ok for row in measured if row.id in ("violations", "leftovers", "rows_twice")):
        shutil.rmtree(work)
    else:
        harness.say(f"what is left to look at: {work}")
    return measured


main = harness.command("chaos", _measure, arguments=_arguments)

if __name__ == "__main__":
    raise SystemExit(main())
