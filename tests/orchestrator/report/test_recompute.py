"""Every number of a report is derived again; a number that was changed by hand is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from foundation.errors import CorruptionError, DataError
from orchestrator.files import write_json
from orchestrator.report.build import REPORT_JSON, build
from orchestrator.report.inputs import Counters
from orchestrator.report.predictions import Predictions, path_of, read_predictions, write_predictions
from orchestrator.report.recompute import recompute


def write_report(run_dir: Path) -> dict[str, Any]:
    report = build(run_dir)
    write_json(run_dir / REPORT_JSON, report)
    return report


def numbers(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from numbers(item, (*path, key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def changed(report: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    copy = json.loads(json.dumps(report))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] += 1e-6
    return copy


def test_a_fresh_report_reproduces(run_dir: Path) -> None:
    write_report(run_dir)
    assert recompute(run_dir) == []


def test_every_number_is_derived_again(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import orchestrator.report.recompute as module

    report = write_report(run_dir)
    fresh = module.build(run_dir)
    monkeypatch.setattr(module, "build", lambda path: json.loads(json.dumps(fresh)))  # built once, compared often
    paths = list(numbers(report))
    assert len(paths) > 1000
    for path in paths[::7]:
        (run_dir / "report.json").write_text(json.dumps(changed(report, path)))
        found = recompute(run_dir)
        assert len(found) == 1 and str(path[-1]) in found[0].path, path


def test_words_and_missing_parts_count_too(run_dir: Path) -> None:
    report = write_report(run_dir)
    report["headline"] = "better"
    del report["ensemble"]["test_accuracy"]
    (run_dir / "report.json").write_text(json.dumps(report))
    assert [one.path for one in recompute(run_dir)] == ["ensemble.test_accuracy", "headline"]


def test_other_predictions_give_other_numbers(run_dir: Path) -> None:
    write_report(run_dir)
    one = read_predictions(run_dir, "students", "searched", 1)
    write_predictions(run_dir, "students", "searched", 1, Predictions(one.keys, -one.logits_NC, one.labels_N))
    paths = {one.path for one in recompute(run_dir)}
    assert "students[10].test_accuracy.per_seed[1]" in paths and "students[0].test_accuracy.mean" not in paths


def test_damaged_predictions_are_no_basis(run_dir: Path) -> None:
    write_report(run_dir)
    path = path_of(run_dir, "teachers", "knn_even")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptionError):
        recompute(run_dir)


def test_counters_can_be_counted_again(run_dir: Path) -> None:
    report = write_report(run_dir)
    again = Counters(**{**report["counters"], "actor_deaths": 5})
    found = recompute(run_dir, recount=lambda path: again)
    assert [str(one) for one in found] == ["counters.actor_deaths: stored 1, recomputed 5"]


def test_without_a_report_there_is_nothing_to_check(run_dir: Path) -> None:
    with pytest.raises(DataError):
        recompute(run_dir)
