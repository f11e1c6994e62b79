"""Cross-fitting: folds are fair, held-out rows are held out everywhere, scores are pooled, trials can be stopped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss

from foundation.errors import ConfigError
from pipelines.crossfit import folds, score_trial
from pipelines.evaluate import predict, teacher_mixture
from pipelines.loop import train
from pipelines.score_config import ScoreConfig
from tests.pipelines.toy import CLASSES, job, objective, source, world


@given(st.lists(st.integers(-1, 3), min_size=5, max_size=60), st.integers(2, 5), st.integers(0, 1000))
@settings(max_examples=50)
def test_folds_are_stratified_disjoint_and_complete(labels: list[int], count: int, seed: int) -> None:
    table = np.concatenate([np.full(7, 9), labels])
    positions = np.arange(7, 7 + len(labels))
    cut = folds(table, positions, count, seed)
    assert sorted(np.concatenate(cut)) == positions.tolist()
    sizes = [len(fold) for fold in cut]
    assert max(sizes) - min(sizes) <= 1
    for label in set(labels):
        parts = [int((table[fold] == label).sum()) for fold in cut]
        assert max(parts) - min(parts) <= 1


def test_folds_depend_on_the_seed_only() -> None:
    labels, rows = np.arange(40) % 4, np.arange(40)
    same = [folds(labels, rows, 2, 5) for _ in range(2)]
    assert all(np.array_equal(a, b) for a, b in zip(*same, strict=True))
    assert not np.array_equal(same[0][0], folds(labels, rows, 2, 6)[0])
    for bad in (1, 41):
        with pytest.raises(ConfigError):
            folds(labels, rows, bad, 0)


def test_score_is_pooled_over_students_that_never_saw_the_rows() -> None:
    data, template = world(), job(epochs=2)
    cut = folds(data.labels_N.numpy(), np.arange(12), 2, 0)
    progress = list(score_trial(template, data, ScoreConfig(rows="labelled", nll_weight=0.5), cut))
    logits = []
    for fold in cut:
        *_, last = train(replace(template, exclude=tuple(fold.tolist())), data)
        logits.append(predict(last.student, data, fold))
    labels = data.labels_N.numpy()[np.concatenate(cut)]
    probabilities = torch.from_numpy(np.concatenate(logits)).double().softmax(-1).numpy()
    accuracy = accuracy_score(labels, probabilities.argmax(1))
    nll = log_loss(labels, probabilities, labels=range(len(CLASSES)))
    assert [(p.epoch, p.last) for p in progress] == [(1, False), (2, True)]
    assert progress[-1].score == pytest.approx(accuracy - 0.5 * nll)
    assert progress[-1].metrics == pytest.approx({"accuracy": accuracy, "nll": nll})
    assert progress[-1].teacher_rows == 0


def test_held_out_labels_cannot_leak() -> None:
    """Changing a held-out row's label changes what is measured, never the student that is measured on it."""
    data = world()
    cut = [np.array([0, 1]), np.array([2, 3])]
    spoiled = replace(data, labels_N=data.labels_N.clone())
    spoiled.labels_N[[0, 1]] = spoiled.labels_N[[1, 0]]
    *_, one = train(job(exclude=(0, 1)), data)
    *_, two = train(job(exclude=(0, 1)), spoiled)
    assert np.array_equal(predict(one.student, data, cut[0]), predict(two.student, data, cut[0]))


@pytest.mark.parametrize("metric", ["nll", "macro_f1", "worst_group"])
def test_other_metrics_and_their_sign(metric: str) -> None:
    data = world()
    cut = folds(data.labels_N.numpy(), np.arange(12), 2, 0)
    group = "side" if metric == "worst_group" else None
    config = ScoreConfig(rows="labelled", metric=metric, nll_weight=0, group=group)
    *_, last = score_trial(job(epochs=1), data, config, cut)
    sign = -1 if metric == "nll" else 1
    assert last.score == pytest.approx(sign * last.metrics[metric])


def test_fidelity_needs_no_labels_and_a_fixed_yardstick() -> None:
    data = replace(world(), labels_N=torch.full((30,), -1))
    config = objective().model_dump()
    del config["terms"]["labels"]
    cut = folds(data.labels_N.numpy(), np.arange(30), 2, 0)
    score = ScoreConfig(rows="transfer", metric="fidelity", nll_weight=0.1)
    progress = list(score_trial(job(epochs=15, config=type(objective())(**config)), data, score, cut))
    assert set(progress[0].metrics) == {"agreement", "fidelity"}
    assert progress[-1].score == pytest.approx(
        progress[-1].metrics["agreement"] + 0.1 * progress[-1].metrics["fidelity"]
    )
    with pytest.raises(ConfigError, match="needs labels"):
        next(score_trial(job(), data, ScoreConfig(rows="transfer"), cut))


def test_the_yardstick_is_the_plain_mean_of_what_teachers_know() -> None:
    absent = {"two": (4,), "one": (5,), "three": (5,)}
    mean = teacher_mixture(source(absent=absent, missing="renormalise"), np.array([3, 4, 5]))
    said = source().logits(torch.tensor([3, 4, 5]))
    p = [
        torch.where(said.class_mask_KC[k], said.logits_KBC[k].double(), -torch.inf).softmax(-1).numpy()
        for k in range(3)
    ]
    np.testing.assert_allclose(mean[0], (p[0][0] + p[1][0] + p[2][0]) / 3)
    np.testing.assert_allclose(mean[1], (p[0][1] + p[2][1]) / 2)
    np.testing.assert_allclose(mean[2], p[1][2])
    nobody = source(absent=dict.fromkeys(("one", "two", "three"), (4,)), missing="renormalise")
    assert np.isnan(teacher_mixture(nobody, np.array([4]))).all()


def test_a_diverged_trial_scores_minus_infinity() -> None:
    data = world()
    data.inputs[3] = float("nan")
    cut = folds(data.labels_N.numpy(), np.arange(12), 2, 0)
    *_, last = score_trial(job(epochs=1), data, ScoreConfig(rows="labelled"), cut)
    assert last.score == float("-inf")
