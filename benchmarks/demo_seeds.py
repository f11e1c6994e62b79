"""`make demo-seeds`: the digits example on five fixed splits, and the bar it has to meet.

Each split gets its own folder with data, cache and run, so a second start goes on where the first one ended. Test
accuracies come from each run's report.json; differences are in percentage points. The best single-teacher student is
chosen by its *test* accuracy, per split: the hardest opponent, not one that anybody could have picked.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import cli, harness
from benchmarks.harness import Row

EXAMPLE = cli.ROOT / "examples" / "digits"
SPLITS = (0, 1, 2, 3, 4)
_SECONDS_PER_RUN = 1800.0

Report = Mapping[str, Any]


def accuracies(report: Report) -> dict[str, float]:
    """Mean test accuracy in per cent of the students that are compared."""
    found = {one["name"]: 100.0 * one["test_accuracy"]["mean"] for one in report["students"]}
    singles = [value for name, value in found.items() if name.startswith("teacher:")]
    wanted = ("searched", "labels_only", "plain_mean", "oracle")
    return {**{name: found[name] for name in wanted}, "best_single": max(singles)}


def rows(reports: Mapping[int, Report]) -> list[Row]:
    """The gates of the demo over all splits, then what they are made from."""
    per_split = {split: accuracies(report) for split, report in reports.items()}

    def over(other: str) -> list[float]:
        return [one["searched"] - one[other] for one in per_split.values()]

    opponents = ("labels_only", "plain_mean", "best_single")
    to_oracle = statistics.mean(-difference for difference in over("oracle"))
    out = [
        Row("over_labels_only", "searched minus labels only", statistics.mean(over("labels_only")), "points", ">= 9"),
        Row("over_plain_mean", "searched minus plain mean", statistics.mean(over("plain_mean")), "points", ">= 3.5"),
        Row(
            "over_best_single",
            "searched minus best single teacher's student",
            statistics.mean(over("best_single")),
            "points",
            ">= 3",
        ),
        Row(
            "worst_split",
            f"smallest of the {len(per_split) * len(opponents)} differences",
            min(difference for other in opponents for difference in over(other)),
            "points",
            ">= 0",
        ),
        Row("to_oracle", "three bad teachers dropped by hand, minus searched", to_oracle, "points", "<= 1.5"),
    ]
    for name in ("searched", *opponents, "oracle"):
        mean = statistics.mean(one[name] for one in per_split.values())
        out.append(Row(name, "test accuracy, mean of the splits", mean, "%"))
    out += [
        Row(f"searched_{split}", f"searched, split {split}", one["searched"], "%") for split, one in per_split.items()
    ]
    return out


def run_split(split: int, work: Path, settings: Sequence[str]) -> tuple[Report, float]:
    """Makes one split's data, runs the example on it and returns its report and the seconds the command took."""
    folder = work / f"split-{split}"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(EXAMPLE / "trust.yaml", folder)
    data = folder / "data" / "digits.parquet"
    make = [sys.executable, str(EXAMPLE / "make_data.py"), "--split-seed", str(split), "--out", str(data)]
    subprocess.run(make, check=True, timeout=120, stdout=subprocess.DEVNULL)
    overrides = [part for setting in settings for part in ("--set", setting)]
    start = time.monotonic()
    answer = cli.run_json(["run", folder / "trust.yaml", *overrides], timeout_s=_SECONDS_PER_RUN)
    seconds = time.monotonic() - start
    report = json.loads((Path(answer["run_dir"]) / "report.json").read_text(encoding="utf-8"))
    return report, seconds


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--splits", type=int, nargs="+", default=SPLITS, help="split seeds; the bar is about 0 to 4")
    parser.add_argument("--work", type=Path, default=cli.ROOT / ".work" / "demo_seeds", help="folder for data and runs")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="passed on to the run")


def _measure(options: argparse.Namespace) -> list[Row]:
    reports, seconds = {}, []
    for split in options.splits:
        harness.say(f"split {split}")
        reports[split], took = run_split(split, options.work.resolve(), options.set)
        seconds.append(took)
        line = ", ".join(f"{name} {value:.1f}" for name, value in accuracies(reports[split]).items())
        harness.say(f"split {split}: {line} ({took:.0f} s)")
    return [*rows(reports), Row("seconds", "longest run", max(seconds), "s")]


main = harness.command("demo_seeds", _measure, arguments=_arguments)

if __name__ == "__main__":
    raise SystemExit(main())
