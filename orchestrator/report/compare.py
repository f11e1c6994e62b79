"""Who is better than whom: differences paired over seeds, and the verdict on the controls.

A difference whose 95 % interval includes 0 is a tie. From one seed there is no interval and no verdict.
"""

from __future__ import annotations

from typing import Literal

from orchestrator.report.schema import Comparison, ControlReport, Score, StudentReport
from pipelines.statistics import paired_interval

Measure = Literal["accuracy", "agreement"]


def score_of(student: StudentReport, measure: Measure) -> Score:
    """The score students are compared by: accuracy, or agreement with the teachers where no row has a label."""
    if measure == "accuracy" and student.test_accuracy is not None:
        return student.test_accuracy
    return student.agreement


def best_single(students: tuple[StudentReport, ...], measure: Measure) -> StudentReport | None:
    """The best student of a single teacher by mean score on the report's rows: the hardest one to beat."""
    singles = [one for one in students if one.kind == "single"]
    return max(singles, key=lambda one: score_of(one, measure).mean, default=None)


def compare(a: StudentReport, b: StudentReport, measure: Measure) -> Comparison:
    """`a` minus `b`, paired over seeds."""
    one, two = score_of(a, measure), score_of(b, measure)
    per_seed = tuple(x - y for x, y in zip(one.per_seed, two.per_seed, strict=True))
    difference = sum(per_seed) / len(per_seed)
    low: float | None = None
    high: float | None = None
    verdict: Literal["better", "worse", "tie", "one_seed"] = "one_seed"
    if len(per_seed) > 1:
        difference, low, high = paired_interval(one.per_seed, two.per_seed)
        verdict = "better" if low > 0 else "worse" if high < 0 else "tie"
    return Comparison(
        a=a.name,
        b=b.name,
        metric=measure,
        difference=difference,
        low=low,
        high=high,
        per_seed=per_seed,
        verdict=verdict,
    )


def compare_roster(
    focal: StudentReport, students: tuple[StudentReport, ...], controls: tuple[StudentReport, ...], measure: Measure
) -> tuple[Comparison, ...]:
    """The focal student against each baseline, the best single-teacher student, the oracle and each control."""
    rivals = [one for kind in ("labels_only", "plain_mean", "plain_mean_tuned") for one in students if one.kind == kind]
    if (single := best_single(students, measure)) is not None:
        rivals.append(single)
    rivals += [one for one in students if one.kind in ("oracle", "other")]
    return tuple(compare(focal, rival, measure) for rival in (*rivals, *controls))


def judge(focal: StudentReport, control: StudentReport, measure: Measure) -> ControlReport:
    """The control with its verdict: sensitive when the focal student is better by an interval above 0."""
    found = compare(focal, control, measure)
    sensitive = None if found.low is None else found.low > 0
    return ControlReport(**dict(control), sensitive=sensitive, comparison=found)
