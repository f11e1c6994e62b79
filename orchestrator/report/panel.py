"""The teachers side by side: each class of each teacher, frequent mistakes, agreement, and their mixture.

An outlier is a teacher that answers unlike its peers: its median agreement with the others lies below the panel's
median by more than three robust standard deviations, and by at least 15 points. That needs three teachers and no
labels; what labels add (frequent mistakes) is reported apart, because teachers that err together agree.
"""

from __future__ import annotations

import numpy as np

from orchestrator.report.gather import Gathered, TeacherAnswers
from orchestrator.report.schema import Agreement, Ensemble, Flip, TeacherReport

MIN_SHARED_CLASSES = 2
MIN_GAP = 0.15
FLIP_RATE = 0.3
MIN_FLIP_ROWS = 5
DEFINITION = (
    "mixture of the teachers' probabilities, zero outside a teacher's classes, renormalised over the teachers that "
    "answered the row; plain: equal weights, T = 1; weighted: the weights and temperature of the chosen student"
)


def mixture(data: Gathered, weights: dict[str, float] | None = None, temperature: float = 1.0) -> np.ndarray:
    """Returns sum_k w_k p_k(. ; T), renormalised per row over the teachers present: float64 [N, C].

    Weights are equal if None; a row no weighted teacher answered is all zeros.
    """
    columns = len(data.inputs.context.classes)
    total_NC = np.zeros((len(data.labels_N), columns))
    mass_N = np.zeros(len(data.labels_N))
    for teacher in data.teachers:
        weight = 1.0 if weights is None else weights.get(teacher.info.name, 0.0)
        total_NC += weight * teacher.present_N[:, None] * teacher.probabilities_NC(columns, temperature)
        mass_N += weight * teacher.present_N
    return np.asarray(total_NC / np.where(mass_N > 0, mass_N, 1.0)[:, None])


def ensemble_report(data: Gathered) -> Ensemble:
    """Accuracy of the plain and of the weighted mixture, and how often the student answers like the latter."""
    focal = data.focal
    plain_N = mixture(data).argmax(axis=1)
    weighted_N = mixture(data, focal.weights or None, focal.temperature or 1.0).argmax(axis=1)
    rows_N = data.labelled_N
    agreement = float(np.mean([(one.argmax(axis=1) == weighted_N).mean() for one in data.logits[focal.name].values()]))
    return Ensemble(
        test_accuracy=_share(plain_N == data.labels_N, rows_N),
        weighted_test_accuracy=_share(weighted_N == data.labels_N, rows_N),
        weighted_agreement=agreement,
        definition=DEFINITION,
    )


def agreement_report(data: Gathered) -> Agreement:
    """The matrix of pairwise agreement between teachers."""
    reference_N = np.where(data.labelled_N, data.labels_N, mixture(data).argmax(axis=1))
    matrix = tuple(tuple(_pair(one, two, reference_N) for two in data.teachers) for one in data.teachers)
    return Agreement(teachers=tuple(one.info.name for one in data.teachers), matrix=matrix)


def teacher_reports(data: Gathered, agreement: Agreement) -> tuple[TeacherReport, ...]:
    """One report per teacher, in the order of the configuration."""
    typical = [_typical(row, index) for index, row in enumerate(agreement.matrix)]
    outliers = _outliers(typical)
    return tuple(
        _teacher(data, teacher, typical[index], outliers[index]) for index, teacher in enumerate(data.teachers)
    )


def _teacher(data: Gathered, teacher: TeacherAnswers, typical: float | None, outlier: bool) -> TeacherReport:
    classes = data.inputs.context.classes
    rows_N = data.labelled_N & teacher.present_N
    known_N = rows_N & np.isin(data.labels_N, teacher.positions_S)
    right_N = teacher.answers_N() == data.labels_N
    per_class = [
        _share(right_N, known_N & (data.labels_N == index)) if name in teacher.info.classes else None
        for index, name in enumerate(classes)
    ]
    return TeacherReport(
        name=teacher.info.name,
        classes=teacher.info.classes,
        test_accuracy=_share(right_N, rows_N),
        accuracy_on_known=_share(right_N, known_N),
        per_class=tuple(per_class),
        flips=_flips(data, teacher, known_N),
        rows=int(teacher.present_N.sum()),
        entropy=_entropy(teacher),
        agreement=typical,
        outlier=outlier,
        weight=data.focal.weights.get(teacher.info.name) if data.focal.weights else None,
        fingerprint=teacher.info.fingerprint,
        entry=teacher.info.entry,
        bytes=teacher.info.bytes,
        seconds_per_row=teacher.info.seconds_per_row,
    )


def _share(hits_N: np.ndarray, rows_N: np.ndarray) -> float | None:
    return float(hits_N[rows_N].mean()) if rows_N.any() else None


def _flips(data: Gathered, teacher: TeacherAnswers, known_N: np.ndarray) -> tuple[Flip, ...]:
    """Mistakes made on at least `FLIP_RATE` of a class's rows, the most frequent first."""
    classes, answers_N = data.inputs.context.classes, teacher.answers_N()
    found = []
    for true in teacher.positions_S:
        rows_N = known_N & (data.labels_N == true)
        if rows_N.sum() < MIN_FLIP_ROWS:
            continue
        counts_C = np.bincount(answers_N[rows_N], minlength=len(classes))
        counts_C[true] = 0
        answered = int(counts_C.argmax())
        rate = float(counts_C[answered] / rows_N.sum())
        if rate >= FLIP_RATE:
            found.append(Flip(true=classes[true], answered=classes[answered], rate=rate, rows=int(rows_N.sum())))
    return tuple(sorted(found, key=lambda flip: (-flip.rate, flip.true)))


def _entropy(teacher: TeacherAnswers) -> float | None:
    """Mean entropy of the answers at T = 1 over log of the number of classes: 0 sure, 1 undecided."""
    width = len(teacher.positions_S)
    if width < 2 or not teacher.present_N.any():
        return None
    p_NS = teacher.probabilities_NC(int(teacher.positions_S.max()) + 1)[teacher.present_N]
    logs_NS = np.log(p_NS, out=np.zeros_like(p_NS), where=p_NS > 0)
    return float(-(p_NS * logs_NS).sum(axis=1).mean() / np.log(width))


def _pair(one: TeacherAnswers, two: TeacherAnswers, reference_N: np.ndarray) -> float | None:
    """Agreement among the shared classes, on rows of those classes that both answered."""
    shared_S = np.intersect1d(one.positions_S, two.positions_S)
    rows_N = one.present_N & two.present_N & np.isin(reference_N, shared_S)
    if len(shared_S) < MIN_SHARED_CLASSES or not rows_N.any():
        return None
    return float((_among(one, shared_S) == _among(two, shared_S))[rows_N].mean())


def _among(teacher: TeacherAnswers, shared_S: np.ndarray) -> np.ndarray:
    columns = np.array([int(np.flatnonzero(teacher.positions_S == position)[0]) for position in shared_S])
    return np.asarray(teacher.logits_NS[:, columns].argmax(axis=1))


def _typical(row: tuple[float | None, ...], own: int) -> float | None:
    values = [value for index, value in enumerate(row) if index != own and value is not None]
    return float(np.median(values)) if values else None


def _outliers(typical: list[float | None]) -> list[bool]:
    values = [value for value in typical if value is not None]
    if len(values) < 3:
        return [False] * len(typical)
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(np.array(values) - middle)))
    floor = middle - max(MIN_GAP, 3.0 * spread)
    return [value is not None and value < floor for value in typical]
