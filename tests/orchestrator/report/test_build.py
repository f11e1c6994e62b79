"""The report as data: its form, and its numbers against ones computed here by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from foundation.errors import CorruptionError, DataError
from orchestrator.report.build import build, write_report
from orchestrator.report.predictions import Predictions, path_of, read_predictions, write_predictions
from orchestrator.report.schema import SCHEMA_PATH, Report, schema_json

KEYS = {
    "format",
    "seeds",
    "teachers",
    "ensemble",
    "students",
    "comparisons",
    "controls",
    "search",
    "counters",
    "timings",
}


@pytest.fixture(scope="module")
def report(fixed_run: Path) -> dict:
    return build(fixed_run)


def student(report: dict, name: str) -> dict:
    return next(one for one in report["students"] if one["name"] == name)


def test_it_has_the_promised_keys(report: dict) -> None:
    assert report["format"] == 1 and report.keys() >= KEYS
    assert report["teachers"][0].keys() >= {"name", "test_accuracy", "classes"}
    assert report["students"][0].keys() >= {
        "name", "test_accuracy", "validation_score", "temperature", "weights", "parameters",
    }  # fmt: skip
    assert report["comparisons"][0].keys() >= {"a", "b", "difference", "low", "high"}
    assert report["controls"].keys() == {"shuffled_teacher", "constant_teacher"}
    assert report["controls"]["shuffled_teacher"].keys() >= report["students"][0].keys()
    assert report["search"]["trials"] == 90 and report["search"]["dimensions"] == 9 and report["search"]["budget"]
    assert report["counters"].keys() == {
        "teacher_loads", "rows_labelled", "rows_reused", "trials", "teacher_rows_during_search", "actor_deaths",
        "rows_quarantined",
    }  # fmt: skip


def test_the_shipped_schema_is_the_models_and_fits(report: dict, unlabelled_run: Path) -> None:
    shipped = json.loads(SCHEMA_PATH.read_text())
    assert shipped == schema_json(), "regenerate with orchestrator.report.schema.write_schema()"
    for one in (report, build(unlabelled_run)):
        jsonschema.validate(one, shipped)
        Report.model_validate_json(json.dumps(one))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**report, "format": 2}, shipped)


def test_accuracies_are_those_of_the_stored_logits(report: dict, fixed_run: Path) -> None:
    for name in ("searched", "labels_only", "teacher:knn_even"):
        stored = [read_predictions(fixed_run, "students", name, seed) for seed in (0, 1, 2)]
        right = [float(np.mean(one.logits_NC.argmax(1) == one.labels_N)) for one in stored]
        found = student(report, name)["test_accuracy"]
        assert found["per_seed"] == pytest.approx(right)
        assert found["mean"] == pytest.approx(sum(right) / 3) and found["std"] == pytest.approx(np.std(right, ddof=1))


def test_differences_are_paired_over_seeds(report: dict) -> None:
    found = next(one for one in report["comparisons"] if one["b"] == "plain_mean")
    pairs = zip(
        *(student(report, name)["test_accuracy"]["per_seed"] for name in ("searched", "plain_mean")), strict=True
    )
    gaps = np.array([a - b for a, b in pairs])
    half = 4.302652729911275 * gaps.std(ddof=1) / np.sqrt(3)  # Student's t, two degrees of freedom
    wanted = (gaps.mean(), gaps.mean() - half, gaps.mean() + half)
    assert (found["difference"], found["low"], found["high"]) == pytest.approx(wanted)
    assert found["verdict"] == "better" and found["per_seed"] == pytest.approx(gaps.tolist())


def test_the_searched_student_meets_every_rival_and_control(report: dict) -> None:
    assert {one["a"] for one in report["comparisons"]} == {"searched"}
    singles = [one for one in report["students"] if one["kind"] == "single"]
    best = max(singles, key=lambda one: one["test_accuracy"]["mean"])["name"]
    assert report["run"]["best_single"] == best
    assert [one["b"] for one in report["comparisons"]] == [
        "labels_only", "plain_mean", "plain_mean_tuned", best, "oracle", "shuffled_teacher", "constant_teacher",
    ]  # fmt: skip
    assert student(report, "oracle")["reference"] and not student(report, "searched")["reference"]


def test_validation_scores_come_from_the_trials_records(report: dict, fixed_run: Path) -> None:
    trials = [json.loads(line) for line in (fixed_run / "trials.jsonl").read_text().splitlines()]
    assert student(report, "searched")["validation_score"] == trials[7]["score"]
    assert student(report, "teacher:trees_low")["validation_score"] == trials[1]["score"]


def test_the_search_history_only_rises_with_finished_trials(report: dict) -> None:
    best = -1.0
    for point in report["search"]["history"]:
        if point["status"] == "done":
            best = max(best, point["score"])
        assert point["best"] == best
    assert any(p["status"] != "done" and p["score"] > p["best"] for p in report["search"]["history"])


def test_rows_are_joined_by_key_not_by_place(run_dir: Path, report: dict) -> None:
    order = np.random.default_rng(0).permutation(300)
    for role, name, seed in (("students", "searched", 1), ("teachers", "knn_even", 0), ("students", "labels_only", 1)):
        one = read_predictions(run_dir, role, name, seed)
        mixed = Predictions(one.keys[order], one.logits_NC[order], one.labels_N[order])
        write_predictions(run_dir, role, name, seed, mixed)
    again = build(run_dir)
    for key in ("teachers", "ensemble", "agreement"):
        assert again[key] == report[key]
    assert student(again, "searched")["metrics"]["accuracy"] == student(report, "searched")["metrics"]["accuracy"]


def test_rows_that_do_not_fit_each_other_are_refused(run_dir: Path) -> None:
    one = read_predictions(run_dir, "students", "oracle", 2)
    write_predictions(run_dir, "students", "oracle", 2, Predictions(one.keys[1:], one.logits_NC[1:], one.labels_N[1:]))
    with pytest.raises(DataError, match="different rows"):
        build(run_dir)
    write_predictions(run_dir, "students", "oracle", 2, Predictions(one.keys, one.logits_NC, (one.labels_N + 1) % 10))
    with pytest.raises(DataError, match="different labels"):
        build(run_dir)
    write_predictions(run_dir, "students", "oracle", 2, Predictions(one.keys, one.logits_NC[:, :9], one.labels_N))
    with pytest.raises(DataError, match="number of classes"):
        build(run_dir)


def test_missing_and_damaged_predictions_are_named(run_dir: Path) -> None:
    path = path_of(run_dir, "students", "oracle", 2)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptionError):
        build(run_dir)
    path.unlink()
    with pytest.raises(DataError, match="seed 2"):
        build(run_dir)


def test_without_labels_agreement_takes_the_place_of_accuracy(unlabelled_run: Path) -> None:
    found = build(unlabelled_run)
    assert found["run"]["compared_by"] == "agreement" and found["run"]["labelled_test_rows"] == 0
    assert all(one["test_accuracy"] is None and one["agreement"]["mean"] > 0 for one in found["students"])
    assert all(one["test_accuracy"] is None and set(one["per_class"]) == {None} for one in found["teachers"])
    assert found["calibration"] == [] and found["ensemble"]["test_accuracy"] is None
    assert all(one["metric"] == "agreement" for one in found["comparisons"])
    assert any(one["topic"] == "labels" for one in found["findings"])


def test_partly_labelled_rows_count_where_they_have_labels(run_dir: Path, report: dict) -> None:
    keep = np.arange(300) < 120
    for name in [one["name"] for one in report["students"]] + list(report["controls"]):
        for seed in (0, 1, 2):
            one = read_predictions(run_dir, "students", name, seed)
            labels_N = np.where(keep, one.labels_N, -1)
            write_predictions(run_dir, "students", name, seed, Predictions(one.keys, one.logits_NC, labels_N))
    found = build(run_dir)
    one = read_predictions(run_dir, "students", "searched", 0)
    right = np.mean(one.logits_NC.argmax(1)[keep] == one.labels_N[keep])
    assert student(found, "searched")["test_accuracy"]["per_seed"][0] == pytest.approx(right)
    assert found["run"]["labelled_test_rows"] == 120


def test_one_seed_gives_no_interval_and_no_verdict(run_dir: Path, edit: Callable[..., None]) -> None:
    edit("context.json", seeds=[1])
    found = build(run_dir)
    assert {(one["low"], one["high"], one["verdict"]) for one in found["comparisons"]} == {(None, None, "one_seed")}
    assert found["controls"]["shuffled_teacher"]["sensitive"] is None
    assert any(one["topic"] == "seeds" for one in found["findings"])


def test_cost_sets_the_student_against_all_teachers(report: dict) -> None:
    cost = report["cost"]
    assert cost["teacher_bytes"] == 40_000 * 28 and cost["compression"] == pytest.approx(40_000 * 28 / 2_792)
    assert cost["speedup"] == pytest.approx(sum(2e-4 + 1e-5 * k for k in range(7)) / 4e-7)


def test_writing_gives_three_files_and_equal_bytes_twice(run_dir: Path) -> None:
    write_report(run_dir)
    names = ("report.json", "report.html", "model_card.md")
    first = [(run_dir / name).read_bytes() for name in names]
    write_report(run_dir)
    assert first == [(run_dir / name).read_bytes() for name in names]
