"""Teachers side by side: mixtures by hand, a stranger among them is flagged, swapped classes are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orchestrator.report.build import build
from orchestrator.report.gather import Gathered, TeacherAnswers, gather
from orchestrator.report.inputs import TeacherInfo
from orchestrator.report.panel import agreement_report, ensemble_report, mixture, teacher_reports
from orchestrator.report.predictions import Predictions, read_predictions, write_predictions
from tests.orchestrator.report.fake_run import make_run


def test_a_mixture_is_zero_outside_a_teachers_classes_and_sums_to_one(fixed_run: Path) -> None:
    data = gather(fixed_run)
    brute_NC = np.zeros((300, 10))
    for teacher in data.teachers:
        for row in range(300):
            z = teacher.logits_NS[row].astype(float) / 2.0
            p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
            for column, value in zip(teacher.positions_S, p, strict=True):
                brute_NC[row, column] += {"knn_even": 3.0, "trees_high": 1.0}.get(teacher.info.name, 0.0) * value / 4.0
    found_NC = mixture(data, {"knn_even": 3.0, "trees_high": 1.0}, 2.0)
    np.testing.assert_allclose(found_NC, brute_NC, atol=1e-12)
    np.testing.assert_allclose(mixture(data).sum(axis=1), 1.0)


def test_the_ensemble_is_the_plain_and_the_weighted_mixture(fixed_run: Path) -> None:
    data = gather(fixed_run)
    found = ensemble_report(data)
    assert found.test_accuracy == pytest.approx(np.mean(mixture(data).argmax(1) == data.labels_N))
    weighted_N = mixture(data, data.focal.weights, 2.31).argmax(1)
    assert found.weighted_test_accuracy == pytest.approx(np.mean(weighted_N == data.labels_N))
    assert found.weighted_test_accuracy > found.test_accuracy


def test_rows_a_teacher_has_no_answer_for_count_for_the_others_alone(run_dir: Path) -> None:
    one = read_predictions(run_dir, "teachers", "knn_even", 0)
    write_predictions(
        run_dir, "teachers", "knn_even", 0, Predictions(one.keys[50:], one.logits_NC[50:], one.labels_N[50:])
    )
    data = gather(run_dir)
    np.testing.assert_allclose(mixture(data).sum(axis=1), 1.0)
    assert not mixture(data, {"knn_even": 1.0})[:50].any()
    found = {teacher["name"]: teacher for teacher in build(run_dir)["teachers"]}
    assert found["knn_even"]["rows"] == 250 and found["trees_low"]["rows"] == 300


def test_a_teacher_that_learned_shuffled_labels_is_flagged(tmp_path: Path) -> None:
    for labelled in (True, False):
        found = build(make_run(tmp_path / str(labelled), bad="shuffled", labelled=labelled, seeds=(0,)))
        assert [one["name"] for one in found["teachers"] if one["outlier"]] == ["office_knn"]
        assert any("office_knn answers unlike the others" in one["text"] for one in found["findings"])


def test_good_teachers_are_not_flagged(tmp_path: Path) -> None:
    found = build(make_run(tmp_path / "run", bad="nothing", seeds=(0,)))
    assert not any(one["outlier"] or one["flips"] for one in found["teachers"])


def test_swapped_classes_are_named(fixed_run: Path) -> None:
    found = {one["name"]: one for one in build(fixed_run)["teachers"]}
    pairs = {(flip["true"], flip["answered"]) for flip in found["office_knn"]["flips"]}
    assert pairs == {("1", "7"), ("7", "1"), ("3", "8"), ("8", "3"), ("4", "9"), ("9", "4")}
    assert not found["trees_low"]["flips"]


def test_agreement_is_measured_among_shared_classes_on_their_rows(fixed_run: Path) -> None:
    data = gather(fixed_run)
    found = agreement_report(data)
    names = list(found.teachers)
    assert found.matrix[names.index("trees_low")][names.index("trees_high")] is None
    assert all(found.matrix[k][k] == 1.0 for k in range(len(names)))
    assert [list(row) for row in found.matrix] == [list(column) for column in zip(*found.matrix, strict=True)]
    low, even = (next(t for t in data.teachers if t.info.name == name) for name in ("trees_low", "knn_even"))
    shared = [0, 2, 4]
    rows_N = np.isin(data.labels_N, shared)
    a = low.logits_NS[:, shared].argmax(1)
    b = even.logits_NS[:, [0, 1, 2]].argmax(1)
    assert found.matrix[names.index("trees_low")][names.index("knn_even")] == pytest.approx(np.mean((a == b)[rows_N]))


def test_per_class_accuracy_and_entropy_by_hand(fixed_run: Path) -> None:
    real = gather(fixed_run)
    info = TeacherInfo(name="t", classes=("2", "0"), fingerprint="f", entry="e")
    logits_NS = np.zeros((300, 2), np.float32)
    logits_NS[:, 0] = np.where(real.labels_N == 2, 3.0, 0.0)
    teacher = TeacherAnswers(info, np.array([2, 0]), logits_NS, np.ones(300, bool))
    data = Gathered(real.inputs, real.keys, real.labels_N, real.logits, (teacher,))
    one = teacher_reports(data, agreement_report(data))[0]
    # Ties go to its first column, class 2: it is never right on class 0.
    assert one.per_class[2] == 1.0 and one.per_class[0] == 0.0 and one.per_class[5] is None
    share = float(np.mean(real.labels_N == 2))
    p = 1 / (1 + np.exp(-3.0))
    sure = -(p * np.log(p) + (1 - p) * np.log(1 - p)) / np.log(2)
    assert one.entropy == pytest.approx(share * sure + (1 - share), rel=1e-6)
    assert one.test_accuracy == pytest.approx(share) and one.agreement is None and not one.outlier
