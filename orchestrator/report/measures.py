"""Numbers of one student over seeds, from its stored logits. The formulas are the metric plug-ins'; rows without a
label are left out here, so that every metric sees labelled rows only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from orchestrator.report.gather import Gathered, softmax
from orchestrator.report.inputs import RosterStudent
from orchestrator.report.panel import mixture
from orchestrator.report.schema import Bin, Calibration, Score, StudentReport
from pipelines.metric import measure
from pipelines.metrics.ece import BINS

LABELLED = ("accuracy", "nll", "ece", "brier", "macro_f1")
LIKENESS = ("agreement", "fidelity")
_FP32_BYTES = 4


def student_report(data: Gathered, student: RosterStudent, reference_NC: np.ndarray) -> StudentReport:
    """All numbers of one student; `reference_NC` is the teachers' plain mixture, the yardstick of likeness."""
    per_seed = list(data.logits[student.name].values())
    rows_N = data.labelled_N
    metrics: dict[str, Score] = {}
    if data.has_labels:
        for name in LABELLED:
            metrics[name] = spread([measure(name, one[rows_N], data.labels_N[rows_N]) for one in per_seed])
    taught_N = reference_NC.sum(axis=1) > 0
    teacher_MC, labels_M = reference_NC[taught_N], data.labels_N[taught_N]
    for name in LIKENESS:
        metrics[name] = spread([measure(name, one[taught_N], labels_M, teacher_NC=teacher_MC) for one in per_seed])
    scores = {trial.key: trial.score for trial in data.inputs.trials} | {
        trial.name: trial.score for trial in data.inputs.trials if trial.name is not None
    }
    return StudentReport(
        name=student.name,
        kind=student.kind,
        reference=student.reference,
        test_accuracy=metrics.get("accuracy"),
        agreement=metrics["agreement"],
        fidelity=metrics["fidelity"],
        metrics=metrics,
        validation_score=scores.get(student.trial or "", student.validation_score),
        temperature=student.temperature,
        weights=student.weights,
        label_share=student.label_share,
        teachers=student.teachers,
        trial=student.trial,
        parameters=student.parameters,
        bytes=student.bytes if student.bytes is not None else _FP32_BYTES * student.parameters,
        seconds_per_row=student.seconds_per_row,
    )


def student_reports(data: Gathered) -> tuple[StudentReport, ...]:
    """One report per student of the roster, controls included."""
    reference_NC = mixture(data)
    return tuple(student_report(data, student, reference_NC) for student in data.inputs.roster)


def spread(values: list[float]) -> Score:
    """Mean, sample standard deviation and the values themselves."""
    numbers = [float(value) for value in values]
    std = float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None
    return Score(mean=float(np.mean(numbers)), std=std, per_seed=tuple(numbers))


def calibration(data: Gathered, name: str) -> Calibration:
    """Reliability bins of one student with the rows of all seeds pooled, and its mean ECE. Needs labels."""
    rows_N = data.labelled_N
    pooled: Mapping[int, np.ndarray] = data.logits[name]
    logits_MC = np.concatenate([one[rows_N] for one in pooled.values()])
    labels_M = np.tile(data.labels_N[rows_N], len(pooled))
    p_MC = softmax(logits_MC)
    confidence_M, right_M = p_MC.max(axis=1), p_MC.argmax(axis=1) == labels_M
    place_M = np.clip(np.ceil(confidence_M * BINS).astype(np.int64) - 1, 0, BINS - 1)  # (low, high], as in `ece`
    bins = []
    for index in range(BINS):
        inside_M = place_M == index
        count = int(inside_M.sum())
        sure = float(confidence_M[inside_M].mean()) if count else None
        right = float(right_M[inside_M].mean()) if count else None
        bins.append(Bin(low=index / BINS, high=(index + 1) / BINS, count=count, confidence=sure, accuracy=right))
    ece = spread([measure("ece", one, data.labels_N) for one in pooled.values()]).mean
    return Calibration(name=name, ece=ece, bins=tuple(bins))
