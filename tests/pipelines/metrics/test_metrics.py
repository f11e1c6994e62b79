"""Metrics against scikit-learn and by hand; unlabelled rows are left out; nothing gives NaN but no rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss

from foundation import registry
from pipelines.metric import log_softmax, measure

DRAW = np.random.RandomState(0)
LOGITS = DRAW.normal(size=(200, 5)).astype(np.float32) * 2
LABELS = DRAW.randint(-1, 5, size=200)
HAS = LABELS >= 0
PROBABILITIES = torch.from_numpy(LOGITS).double().softmax(-1).numpy()
TEACHER = torch.from_numpy(DRAW.normal(size=(200, 5))).softmax(-1).numpy()


def test_against_scikit_learn() -> None:
    truth, answers = LABELS[HAS], PROBABILITIES[HAS].argmax(1)
    assert measure("accuracy", LOGITS, LABELS) == pytest.approx(accuracy_score(truth, answers))
    assert measure("nll", LOGITS, LABELS) == pytest.approx(log_loss(truth, PROBABILITIES[HAS]))
    assert measure("macro_f1", LOGITS, LABELS) == pytest.approx(f1_score(truth, answers, average="macro"))
    onehot = np.eye(5)[truth]
    assert measure("brier", LOGITS, LABELS) == pytest.approx(((PROBABILITIES[HAS] - onehot) ** 2).sum(1).mean())


def test_macro_f1_counts_only_classes_that_occur() -> None:
    logits, labels = np.eye(4)[[0, 0, 1]] * 5, np.array([0, 1, 1])
    assert measure("macro_f1", logits, labels) == pytest.approx(f1_score(labels, [0, 0, 1], average="macro"))


def test_ece_by_hand() -> None:
    total, confidence = 0.0, PROBABILITIES[HAS].max(1)
    right = PROBABILITIES[HAS].argmax(1) == LABELS[HAS]
    for low in range(15):
        inside = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert measure("ece", LOGITS, LABELS) == pytest.approx(total)
    assert measure("ece", np.array([[100.0, 0.0]]), np.array([0])) == pytest.approx(0)


def test_worst_group_over_classes_or_a_side_column() -> None:
    logits, labels = np.eye(2)[[0, 0, 1, 0]] * 5, np.array([0, 0, 1, 1])
    assert measure("worst_group", logits, labels) == 0.5
    assert measure("worst_group", logits, labels, groups_N=np.array([0, 1, 0, 1])) == 0.5
    assert measure("worst_group", logits, labels, groups_N=np.array([0, 0, 0, 2])) == 0.0
    gone = np.array([0, 0, 1, -1])
    assert measure("worst_group", logits, gone, groups_N=np.array([0, 0, 0, 2])) == 1.0


def test_likeness_to_teachers_needs_no_labels() -> None:
    nothing = np.full(200, -1)
    kl = (TEACHER * (np.log(TEACHER) - np.log(PROBABILITIES))).sum(1).mean()
    assert measure("fidelity", LOGITS, nothing, teacher_NC=TEACHER) == pytest.approx(-kl)
    assert measure("fidelity", np.log(TEACHER), nothing, teacher_NC=TEACHER) == pytest.approx(0)
    sure = np.eye(5)[[2]]
    assert math.isfinite(measure("fidelity", LOGITS[:1], nothing[:1], teacher_NC=sure))
    agree = (PROBABILITIES.argmax(1) == TEACHER.argmax(1)).mean()
    assert measure("agreement", LOGITS, nothing, teacher_NC=TEACHER) == pytest.approx(agree)


@pytest.mark.parametrize(
    "name", ["accuracy", "nll", "ece", "brier", "macro_f1", "worst_group", "fidelity", "agreement"]
)
def test_every_metric_is_finite_on_hard_logits_and_says_nan_for_no_rows(name: str) -> None:
    hard = np.array([[1e4, -1e4], [-1e4, 1e4]], dtype=np.float32)
    teacher = np.array([[1.0, 0.0], [1.0, 0.0]])
    groups = np.array([0, 1])
    assert math.isfinite(measure(name, hard, np.array([1, 1]), teacher_NC=teacher, groups_N=groups))
    empty = measure(name, hard[:0], np.array([], dtype=np.int64), teacher_NC=teacher[:0], groups_N=groups[:0])
    assert math.isnan(empty)
    assert isinstance(registry.load("metric", name).HIGHER_IS_BETTER, bool)


def test_log_softmax_is_stable() -> None:
    assert np.allclose(np.exp(log_softmax(np.array([[1e4, 1e4 - 1], [0.0, -1e4]]))).sum(1), 1)
