"""Several runs in one table."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from foundation.errors import DataError, FormatError
from orchestrator.files import write_json
from orchestrator.report.build import REPORT_JSON, build
from orchestrator.report.compare_runs import compare_runs, load_report


@pytest.fixture
def pair(run_dir: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A run, and one whose searched student is its plain mean."""
    other = tmp_path / "other\x1b[31m"
    shutil.copytree(run_dir, other)
    shutil.rmtree(other / "predictions/students/searched")
    shutil.copytree(other / "predictions/students/plain_mean", other / "predictions/students/searched")
    for path in (run_dir, other):
        write_json(path / REPORT_JSON, build(path))
    return run_dir, other


def test_runs_are_paired_over_seeds(pair: tuple[Path, Path]) -> None:
    first, second = compare_runs(pair).rows
    assert first.difference is None and second.difference is not None
    reports = [json.loads((path / "report.json").read_text()) for path in pair]
    inside = next(one for one in reports[0]["comparisons"] if one["b"] == "plain_mean")
    assert (second.difference, second.low, second.high) == pytest.approx(
        (-inside["difference"], -inside["high"], -inside["low"])
    )


def test_other_rows_or_seeds_are_not_paired(pair: tuple[Path, Path]) -> None:
    path = pair[1] / "report.json"
    report = json.loads(path.read_text())
    report["lineage"]["data"] = "other"
    path.write_text(json.dumps(report))
    second = compare_runs(pair).rows[1]
    assert second.difference is not None and second.low is None


def test_the_table_is_plain_text_of_equal_lines(pair: tuple[Path, Path]) -> None:
    found = compare_runs(pair)
    lines = found.text().splitlines()
    assert len(lines) == 4 and "\x1b" not in found.text() and "other?[31m" in lines[3]
    assert lines[1].index("--", 5) and all("accuracy" in line and "passed" in line for line in lines[2:3])
    assert len(json.loads(json.dumps(found.to_json()))["runs"]) == 2


def test_what_is_no_report_is_named(pair: tuple[Path, Path]) -> None:
    with pytest.raises(DataError, match="two runs"):
        compare_runs(pair[:1])
    (pair[1] / "report.json").write_text('{"format": 1}')
    with pytest.raises(FormatError):
        load_report(pair[1])
