"""The form of `report.json`, version 1. `report.schema.json` beside this file is generated from it.

Accuracies, agreements, differences and rates are fractions (0.931, not 93.1). `null` means: can't be known from what
was stored, such as an accuracy without labels or an interval from one seed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from foundation.model import StrictModel
from orchestrator.report.inputs import Counters, Lineage, StudentKind

REPORT_FORMAT: Literal[1] = 1
SCHEMA_PATH = Path(__file__).with_name("report.schema.json")


class Score(StrictModel):
    """One measure over seeds: mean, sample standard deviation (null for one seed), and each seed's value in order."""

    mean: float
    std: float | None
    per_seed: tuple[float, ...]


class StudentReport(StrictModel):
    """One student. `metrics` holds every measure over seeds; accuracy, agreement and fidelity are repeated by
    name. Agreement (share of rows answered alike) and fidelity (minus the mean KL divergence in nats, 0 is perfect) are
    with the teachers' plain mixture."""

    name: str
    kind: StudentKind
    reference: bool
    test_accuracy: Score | None
    agreement: Score
    fidelity: Score
    metrics: dict[str, Score]
    validation_score: float | None
    temperature: float | None
    weights: dict[str, float]
    label_share: float | None
    teachers: tuple[str, ...]
    trial: str | None
    parameters: int
    bytes: int
    seconds_per_row: float | None


class Comparison(StrictModel):
    """`a` minus `b`, paired over seeds, with the 95 % Student t interval (null from one seed)."""

    a: str
    b: str
    metric: str
    difference: float
    low: float | None
    high: float | None
    per_seed: tuple[float, ...]
    verdict: Literal["better", "worse", "tie", "one_seed"]


class ControlReport(StudentReport):
    """A student trained like the searched one with signals that carry nothing. `sensitive` is the verdict."""

    sensitive: bool | None
    comparison: Comparison


class Flip(StrictModel):
    """A teacher's frequent mistake: the share of rows of class `true` on which it answers `answered`."""

    true: str
    answered: str
    rate: float
    rows: int


class TeacherReport(StrictModel):
    """One teacher on the test rows. `accuracy_on_known` counts only rows of classes it knows; `entropy` is the mean
    entropy of its answers at T = 1, as a share of the greatest possible; `agreement` is the median over its peers."""

    name: str
    classes: tuple[str, ...]
    test_accuracy: float | None
    accuracy_on_known: float | None
    per_class: tuple[float | None, ...]
    flips: tuple[Flip, ...]
    rows: int
    entropy: float | None
    agreement: float | None
    outlier: bool
    weight: float | None
    fingerprint: str
    entry: str
    bytes: int | None
    seconds_per_row: float | None


class Ensemble(StrictModel):
    """The teachers' mixture sum_k w_k p_k: p_k is zero outside the teacher's classes, renormalised over the teachers
    that answered the row. `test_accuracy`: equal weights at T = 1; `weighted_*`: weights and temperature chosen."""

    test_accuracy: float | None
    weighted_test_accuracy: float | None
    weighted_agreement: float | None
    definition: str


class Bin(StrictModel):
    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


class Calibration(StrictModel):
    """Reliability of one student: bins with the rows of all seeds pooled, and the mean of the seeds' ECE."""

    name: str
    ece: float
    bins: tuple[Bin, ...]


class Agreement(StrictModel):
    """How often two teachers answer the same among the classes both know, on rows of those classes (by label, or by
    the teachers' mixture where there is none); null where they share fewer than two classes or no row."""

    teachers: tuple[str, ...]
    matrix: tuple[tuple[float | None, ...], ...]


class HistoryPoint(StrictModel):
    trial: str
    name: str | None
    score: float | None
    best: float | None
    status: str


class SearchReport(StrictModel):
    """`trials` and `dimensions` are counts; `history` is in the order in which trials ended."""

    trials: int
    dimensions: int
    dimension_names: tuple[str, ...]
    budget: dict[str, float | int | str | None]
    metric: str
    rows: str
    chosen: str | None
    history: tuple[HistoryPoint, ...]


class Cost(StrictModel):
    """The student against all its teachers together. Ratios are teachers / student."""

    student_parameters: int
    student_bytes: int
    teacher_bytes: int | None
    compression: float | None
    student_seconds_per_row: float | None
    teacher_seconds_per_row: float | None
    speedup: float | None


class Finding(StrictModel):
    """One plain sentence. Levels: good, info, warn, bad."""

    level: Literal["good", "info", "warn", "bad"]
    topic: str
    text: str


class RunFacts(StrictModel):
    name: str
    focal: str
    best_single: str | None
    test: str
    test_rows: int
    labelled_test_rows: int
    compared_by: Literal["accuracy", "agreement"]
    classes: tuple[str, ...]
    inputs: tuple[str, ...]
    student: str
    command: str
    versions: dict[str, str]


class Report(StrictModel):
    format: Literal[1]
    run: RunFacts
    headline: str
    findings: tuple[Finding, ...]
    seeds: tuple[int, ...]
    teachers: tuple[TeacherReport, ...]
    ensemble: Ensemble
    students: tuple[StudentReport, ...]
    comparisons: tuple[Comparison, ...]
    controls: dict[str, ControlReport]
    calibration: tuple[Calibration, ...]
    agreement: Agreement
    search: SearchReport | None
    cost: Cost
    counters: Counters
    timings: dict[str, float]
    lineage: Lineage


def schema_json() -> dict[str, Any]:
    """The JSON schema of `report.json`."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Report.model_json_schema()}


def write_schema() -> None:
    """Writes `report.schema.json`; a test compares the file with the models."""
    SCHEMA_PATH.write_text(json.dumps(schema_json(), indent=2, sort_keys=True) + "\n", encoding="utf-8")
