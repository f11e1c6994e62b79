"""What a reader should take away, in plain sentences; also when it isn't what we hoped for."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.report.schema import Comparison, ControlReport, Finding, StudentReport, TeacherReport

NEGLIGIBLE = 0.02


def percent(fraction: float) -> str:
    """0.9312 -> '93.1 %'."""
    return f"{100 * fraction:.1f} %"


def points(fraction: float) -> str:
    """0.0312 -> '+3.1'; a true minus sign for negative ones."""
    return f"{100 * fraction:+.1f}".replace("-", "\u2212")


def interval(found: Comparison) -> str:
    """'+3.1 points (95 % interval +1.0 to +5.2)'."""
    if found.low is None or found.high is None:
        return f"{points(found.difference)} points (one seed, no interval)"
    return f"{points(found.difference)} points (95 % interval {points(found.low)} to {points(found.high)})"


def headline(focal: StudentReport, measure: str, comparisons: tuple[Comparison, ...], single: str | None) -> str:
    """One sentence: how good the student is, and what mixing teachers adds."""
    score = focal.test_accuracy if measure == "accuracy" and focal.test_accuracy else focal.agreement
    what = "of the test rows right" if measure == "accuracy" else "of the test rows answered like the teachers' mean"
    count = len(score.per_seed)
    start = f"{focal.name}: {percent(score.mean)} {what}, mean of {count} {'seed' if count == 1 else 'seeds'}"
    found = next((one for one in comparisons if one.b == single), None)
    return f"{start}; {interval(found)} against the best single-teacher student, {single}." if found else f"{start}."


def findings(
    focal: StudentReport,
    students: tuple[StudentReport, ...],
    controls: dict[str, ControlReport],
    comparisons: tuple[Comparison, ...],
    teachers: tuple[TeacherReport, ...],
    measure: str,
    single: str | None,
) -> tuple[Finding, ...]:
    """All findings, the most important first."""
    found = [*_on_mixing(students, comparisons, single), *_on_controls(controls), *_on_teachers(teachers, focal)]
    if measure == "agreement":
        text = (
            "No test row has a label, so students are compared by agreement: how often they answer like the plain mean "
            "of the teachers. That says nothing about being right."
        )
        found.insert(0, Finding(level="warn", topic="labels", text=text))
    if len(focal.agreement.per_seed) == 1:
        text = "One seed only: the spread is unknown and no difference can be judged. Give at least three seeds."
        found.insert(0, Finding(level="warn", topic="seeds", text=text))
    return tuple(found)


def _on_mixing(
    students: tuple[StudentReport, ...], comparisons: tuple[Comparison, ...], single: str | None
) -> Iterator[Finding]:
    kinds = {one.name: one.kind for one in students}
    for found in sorted(comparisons, key=lambda one: one.b != single):  # the hardest rival first
        kind = kinds.get(found.b)
        if kind in ("oracle", "other", None) or found.verdict == "one_seed":
            continue
        text, topic = _sentence(found, kind, single), "mixing"
        if found.verdict == "better":
            yield Finding(level="good", topic=topic, text=text)
        else:
            yield Finding(level="warn" if found.verdict == "tie" else "bad", topic=topic, text=text)


def _sentence(found: Comparison, kind: str | None, single: str | None) -> str:
    margin = interval(found)
    if found.verdict == "better":
        words = {
            "single": f"Mixing helps: {found.a} beats the best single-teacher student, {single}, by {margin}.",
            "plain_mean": f"Choosing weights helps: {found.a} beats the plain mean by {margin}.",
            "plain_mean_tuned": f"Weights matter beyond temperature: against the tuned plain mean {margin}.",
            "labels_only": f"Teachers help: against the student that saw labels only {margin}.",
        }
        return words[str(kind)]
    state = "inside the spread over seeds" if found.verdict == "tie" else "which is worse"
    words = {
        "single": f"Mixing does not help here: {found.a} against {single} is {margin}, {state}. Use that one teacher.",
        "plain_mean": f"Choosing weights does not help: against the plain mean {margin}, {state}.",
        "plain_mean_tuned": f"Weights add nothing to a tuned plain mean: against it {margin}, {state}.",
        "labels_only": f"The teachers do not help: against the student that saw labels only {margin}, {state}.",
    }
    return words[str(kind)]


def _on_controls(controls: dict[str, ControlReport]) -> Iterator[Finding]:
    for name in ("shuffled_teacher", "constant_teacher"):
        if name not in controls:
            text = f"The control {name} is missing; whether the student listens to its teachers was not tested."
            yield Finding(level="bad", topic="control", text=text)
    for name, control in controls.items():
        margin = interval(control.comparison)
        if control.sensitive:
            text = f"Control passed, {name}: true teachers are worth {margin}."
            yield Finding(level="good", topic="control", text=text)
        elif control.sensitive is False:
            text = f"Control failed, {name}: {margin}. The result does not depend on what the teachers say."
            yield Finding(level="bad", topic="control", text=text)


def _on_teachers(teachers: tuple[TeacherReport, ...], focal: StudentReport) -> Iterator[Finding]:
    for teacher in teachers:
        if teacher.outlier and teacher.agreement is not None:
            yield Finding(level="warn", topic="teacher", text=_unlike(teacher, teacher.agreement))
        if teacher.flips:
            parts = [f"{flip.answered} for {flip.true} ({percent(flip.rate)})" for flip in teacher.flips[:3]]
            more = f" and {len(teacher.flips) - 3} more" if len(teacher.flips) > 3 else ""
            text = f"{teacher.name} mistakes whole classes: it answers {', '.join(parts)}{more}."
            yield Finding(level="warn", topic="teacher", text=text)
    if focal.weights:
        unused = [one.name for one in teachers if focal.weights.get(one.name, 0.0) < NEGLIGIBLE]
        if unused:
            text = f"The chosen weights all but ignore {', '.join(unused)} (below {NEGLIGIBLE:g})."
            yield Finding(level="info", topic="weights", text=text)


def _unlike(teacher: TeacherReport, agreement: float) -> str:
    """An outlier may be the one that is right; labels tell."""
    shared = f"it agrees with a typical one on {percent(agreement)} of shared rows"
    start = f"{teacher.name} answers unlike the others: {shared}"
    if teacher.accuracy_on_known is None:
        return f"{start}. Without labels nobody can say who is right; check what it was trained on."
    right = percent(teacher.accuracy_on_known)
    if teacher.accuracy_on_known > agreement:
        return f"{start}, yet {right} of its answers on its own classes are right: look at the others."
    return f"{start}, and {right} of its answers on its own classes are right. Check what it was trained on."
