from __future__ import annotations

import argparse
import json

import pytest

from benchmarks import harness
from benchmarks.harness import Row


@pytest.mark.parametrize(
    ("value", "bound", "met"),
    [(3.5, ">= 3.5", True), (3.4, ">= 3.5", False), (2.0, "<= 2", True), (2.1, "<= 2", False), (0.0, "== 0", True)],
)
def test_bounds(value: float, bound: str, met: bool) -> None:
    assert harness.meets(value, bound) is met


def test_nan_meets_no_gate_and_stays_out_of_json() -> None:
    row = Row("x", "nothing", float("nan"), "s", gate=">= 0")
    assert not row.ok
    assert row.to_json()["value"] is None


def test_an_unknown_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="bound"):
        harness.meets(1.0, "> 1")


def test_json_is_alone_on_stdout_with_the_agreed_keys(capsys: pytest.CaptureFixture[str]) -> None:
    def measure(options: argparse.Namespace) -> list[Row]:
        harness.say("working")
        return [Row("speed", "rows per second", 12.5, "1/s", gate=">= 10", aim=">= 20")]

    assert harness.command("thing", measure)(["--json"]) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert set(report) == {"benchmark", "machine", "rows"}
    assert report["rows"] == [
        {
            "id": "speed",
            "what": "rows per second",
            "value": 12.5,
            "unit": "1/s",
            "gate": ">= 10",
            "aim": ">= 20",
            "ok": True,
        }
    ]
    assert captured.err == "working\n"


def test_a_missed_gate_ends_with_1_and_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [Row("a", "first", 1.0, "x", gate=">= 2"), Row("b", "second", 1.0, "x", aim=">= 2")]
    assert harness.finish("thing", rows, as_json=False) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "MISSED" in lines[2]
    assert "MISSED" not in lines[3]
    assert harness.finish("thing", rows[1:], as_json=True) == 0


def test_rounds_alternate_and_throw_the_warm_up_away() -> None:
    calls: list[str] = []
    contestants = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    rounds = harness.side_by_side(contestants, rounds=3, warmup=1)
    assert "".join(calls) == "ba" + "ab" + "ba" + "ab"
    assert {name: len(times) for name, times in rounds.seconds.items()} == {"a": 3, "b": 3}


def test_a_ratio_is_the_median_of_paired_rounds() -> None:
    rounds = harness.Rounds({"slow": [2.0, 40.0, 3.0], "fast": [1.0, 10.0, 1.0]})
    assert rounds.ratio("slow", "fast") == 3.0  # pairs 2, 4, 3; not the ratio of the medians
    assert rounds.median("slow") == 3.0


def test_the_machine_names_no_person_and_no_place() -> None:
    assert set(harness.machine()) == {"system", "architecture", "cores", "memory_gib", "python", "versions"}
