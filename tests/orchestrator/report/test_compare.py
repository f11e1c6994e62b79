"""Verdicts and sentences, on made-up scores where the right answer is plain."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.report.compare import best_single, compare, compare_roster, judge
from orchestrator.report.findings import findings, headline, interval
from orchestrator.report.measures import spread
from orchestrator.report.schema import StudentReport

LOW, TIE, HIGH = [0.90, 0.892, 0.88], [0.935, 0.945, 0.93], [0.99, 0.981, 0.97]
SEARCHED = [0.95, 0.94, 0.93]


def student(name: str, kind: Any, scores: list[float]) -> StudentReport:
    found = spread(scores)
    return StudentReport(
        name=name, kind=kind, reference=kind == "oracle", test_accuracy=found, agreement=found, fidelity=found,
        metrics={"accuracy": found}, validation_score=None, temperature=1.0, weights={}, label_share=None, teachers=(),
        trial=None, parameters=1, bytes=4, seconds_per_row=None,
    )  # fmt: skip


FOCAL = student("searched", "searched", SEARCHED)


@pytest.mark.parametrize(("rival", "verdict"), [(LOW, "better"), (TIE, "tie"), (HIGH, "worse")])
def test_the_verdict_is_the_intervals(rival: list[float], verdict: str) -> None:
    found = compare(FOCAL, student("b", "single", rival), "accuracy")
    assert found.verdict == verdict
    assert found.low is not None and found.high is not None and found.low < found.difference < found.high
    assert (found.low <= 0 <= found.high) is (verdict == "tie")


@pytest.mark.parametrize(("scores", "sensitive"), [([0.5, 0.49, 0.48], True), (TIE, False), (HIGH, False)])
def test_a_control_is_red_when_its_interval_includes_zero(scores: list[float], sensitive: bool) -> None:
    assert judge(FOCAL, student("shuffled_teacher", "control", scores), "accuracy").sensitive is sensitive


def test_the_best_single_is_the_one_with_the_highest_mean() -> None:
    singles = (
        student("teacher:a", "single", TIE),
        student("teacher:b", "single", HIGH),
        student("p", "plain_mean", HIGH),
    )
    best = best_single(singles, "accuracy")
    assert best is not None and best.name == "teacher:b"
    assert best_single((), "accuracy") is None


def report_on(single: list[float], plain: list[float], control: list[float]) -> tuple[str, list[tuple[str, str]]]:
    students = (FOCAL, student("plain_mean", "plain_mean", plain), student("teacher:a", "single", single))
    blind = student("shuffled_teacher", "control", control)
    comparisons = compare_roster(FOCAL, students, (blind,), "accuracy")
    controls = {blind.name: judge(FOCAL, blind, "accuracy")}
    found = findings(FOCAL, students, controls, comparisons, (), "accuracy", "teacher:a")
    return headline(FOCAL, "accuracy", comparisons, "teacher:a"), [(one.level, one.text) for one in found]


def test_it_says_so_when_mixing_does_not_help() -> None:
    head, found = report_on(single=TIE, plain=TIE, control=[0.1, 0.1, 0.1])
    assert ("warn", True) in [
        (level, "Mixing does not help" in text and "inside the spread" in text) for level, text in found
    ]
    assert any("Choosing weights does not help" in text for _, text in found)
    assert "94.0 %" in head and "teacher:a" in head
    _, found = report_on(single=HIGH, plain=TIE, control=[0.1, 0.1, 0.1])
    assert any(level == "bad" and "Mixing does not help" in text and "worse" in text for level, text in found)


def test_it_says_so_when_mixing_helps() -> None:
    _, found = report_on(single=LOW, plain=LOW, control=[0.1, 0.1, 0.1])
    assert ("good", True) in [(level, text.startswith("Mixing helps")) for level, text in found]
    assert not any("does not help" in text for _, text in found)


def test_a_failed_or_missing_control_is_bad_news() -> None:
    _, found = report_on(single=TIE, plain=TIE, control=TIE)
    assert any(level == "bad" and "Control failed, shuffled_teacher" in text for level, text in found)
    assert any(level == "bad" and "constant_teacher is missing" in text for level, text in found)


def test_numbers_in_sentences_carry_their_sign() -> None:
    text = interval(compare(FOCAL, student("b", "single", HIGH), "accuracy"))
    assert text == "\u22124.0 points (95 % interval \u22124.2 to \u22123.9)"
