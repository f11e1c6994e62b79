"""Who is compared with whom: the students of a run, as changes ("settings") to its configuration.

A setting is a configuration path and a value, so a baseline is trained by exactly the code that trains the searched
student. `baselines` gives the settings that are tried on held-out labelled rows (the search's enqueued trials);
`roster` turns their records and the searched winner into the students that are trained over all seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from foundation.errors import ConfigError

Signals = Literal["teachers", "shuffled", "constant"]
Kind = Literal["labels_only", "single", "plain_mean", "plain_mean_tuned", "searched", "oracle", "control"]
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Baseline:
    """One setting to try by cross-fitting.

    `group` collects the tries among which a student takes its best; an `anchor` is told to the sampler: uniform
    weights, each teacher alone and each left out, once each.
    """

    name: str
    group: str
    settings: Settings
    anchor: bool = False


@dataclass(frozen=True)
class Student:
    """A student to train over all seeds.

    Attributes:
        name: 'searched', 'teacher:NAME', 'labels_only', ...
        kind: what it stands for in the comparison.
        settings: configuration paths and values that make it.
        signals: real teacher signals, or those of a control.
        validation_score: score on held-out rows, where it was tried.
        trial: name or key of the trial it comes from.
        reference: True for students nobody could build without the answer (the oracle).
    """

    name: str
    kind: Kind
    settings: Settings
    signals: Signals = "teachers"
    validation_score: float | None = None
    trial: str | None = None
    reference: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Objective:
    """Where temperature, weights and shares live in a run's configuration: all that a baseline has to turn.

    Baselines hear teachers through one term, `distill`; `others` are the terms that fall silent in them.
    """

    teachers: tuple[str, ...]
    distill: str
    labels: str | None
    lens: int | None
    distill_share: float
    others: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Objective:
        """Finds the first term that listens to teachers, the term on labels, and the temperature lens."""
        terms = config["objective"]["terms"]
        labels = [name for name, term in terms.items() if term["method"]["kind"] == "cross_entropy"]
        distill = [name for name in terms if name not in labels]
        if not distill:
            raise ConfigError("No term of the objective listens to the teachers.", where="objective.terms")
        lenses, share = terms[distill[0]].get("lenses") or [], float(terms[distill[0]]["share"])
        lens = next((index for index, lens in enumerate(lenses) if lens["kind"] == "temperature"), None)
        others = tuple(distill[1:])
        return cls(tuple(config["teachers"]), distill[0], labels[0] if labels else None, lens, share, others)

    def settings(
        self, weights: Mapping[str, float], temperature: float | None = None, label_share: float | None = None
    ) -> dict[str, Any]:
        """Returns the settings for these weights, temperature and share of cross-entropy; None leaves a value alone."""
        term = f"objective.terms.{self.distill}"
        full = {name: float(weights.get(name, 0.0)) for name in self.teachers}
        out: dict[str, Any] = {f"{term}.fusion": {"kind": "losses"}}
        out[f"{term}.weighting"] = {"kind": "fixed", "weights": full}
        out |= {f"objective.terms.{other}.share": 0.0 for other in self.others}
        if temperature is not None and self.lens is not None:
            out[f"{term}.lenses.{self.lens}.value"] = float(temperature)
        if label_share is not None and self.labels is not None:
            # Shares are relative: the one of the teachers stays, so that a try is a point of a search over the other.
            out[f"objective.terms.{self.labels}.share"] = self.distill_share * label_share / (1.0 - label_share)
        return out

    def labels_alone(self) -> dict[str, Any]:
        """Returns the settings of the student that never hears a teacher."""
        silent = {f"objective.terms.{name}.share": 0.0 for name in (self.distill, *self.others)}
        return {**silent, f"objective.terms.{self.labels}.share": 1.0}

    def read(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Returns temperature, weighting, normalised weights and share of cross-entropy, for the report.

        `temperature` is None without a lens, or with one per teacher; `weights` are {} where rows decide them.
        """
        terms = config["objective"]["terms"]
        term = terms[self.distill]
        weighting = term["weighting"]["kind"]
        raw = term["weighting"].get("weights") or dict.fromkeys(self.teachers, 1.0)
        total = sum(raw.get(name, 0.0) for name in self.teachers) or 1.0
        weights = {name: raw.get(name, 0.0) / total for name in self.teachers}
        shares = sum(one["share"] for one in terms.values()) or 1.0
        temperature = None if self.lens is None else term["lenses"][self.lens]["value"]
        return {
            "temperature": temperature if isinstance(temperature, int | float) else None,
            "weighting": weighting,
            "weights": weights if weighting in ("fixed", "uniform") else {},
            "label_share": terms[self.labels]["share"] / shares if self.labels else 0.0,
        }


def equal(names: Iterable[str]) -> dict[str, float]:
    """Equal weights that sum to 1."""
    chosen = list(names)
    return dict.fromkeys(chosen, 1.0 / len(chosen))


def baselines(config: Mapping[str, Any]) -> list[Baseline]:
    """All settings tried at full budget before the sampler starts: uniform, each teacher alone, each left out."""
    objective = Objective.of(config)
    names = objective.teachers
    plain_share = 1.0 / (len(names) + 1)
    tuning = config["compare"]["tuning"]
    temperatures = tuning["temperatures"] if objective.lens is not None else [None]
    tries = [(t, s) for t in temperatures for s in tuning["label_shares"]]
    middle = tries[len(tries) // 2]
    found = [Baseline("uniform", "plain_mean", objective.settings(equal(names), 1.0, plain_share), True)]
    if objective.labels is not None:
        found.append(Baseline("labels_only", "labels_only", objective.labels_alone()))
    for temperature, share in tries:
        tag = _tag(T=temperature, s=share if objective.labels else None)
        settings = objective.settings(equal(names), temperature, share)
        found.append(Baseline(f"uniform@{tag}", "plain_mean_tuned", settings))
        for name in names:
            settings = objective.settings({name: 1.0}, temperature, share)
            anchor = (temperature, share) == middle
            found.append(Baseline(f"teacher:{name}@{tag}", f"teacher:{name}", settings, anchor))
    if len(names) > 2:
        for left_out in names:
            settings = objective.settings(equal(n for n in names if n != left_out), *middle)
            found.append(Baseline(f"without:{left_out}", "left_out", settings, True))
    return found


def roster(
    config: Mapping[str, Any], tried: Sequence[tuple[Baseline, float]], searched: tuple[Settings, float, str] | None
) -> list[Student]:
    """Returns the students to train: each group of baselines at its best try, the searched one, oracle and controls.

    Args:
        config: the resolved configuration.
        tried: baselines with their scores on held-out rows (higher is better).
        searched: settings, score and trial key of the winner; None in a run without search.
    """
    objective = Objective.of(config)
    best: dict[str, tuple[Baseline, float]] = {}
    for baseline, score in tried:
        if baseline.group not in best or score > best[baseline.group][1]:
            best[baseline.group] = (baseline, score)
    kinds: dict[str, Kind] = {"labels_only": "labels_only", "plain_mean": "plain_mean"}
    kinds["plain_mean_tuned"] = "plain_mean_tuned"
    students = [
        Student(group, kinds.get(group, "single"), one.settings, validation_score=_finite(score), trial=one.name)
        for group, (one, score) in best.items()
        if group != "left_out"
    ]
    settings, score, trial = searched or ({}, math.nan, "as configured")
    name = "searched" if searched else "configured"
    students.append(Student(name, "searched", settings, validation_score=_finite(score), trial=trial))
    if dropped := (config["compare"].get("oracle") or {}).get("drop"):
        kept = [teacher for teacher in objective.teachers if teacher not in dropped]
        plain = objective.settings(equal(kept), 1.0, 1.0 / (len(objective.teachers) + 1))
        students.append(Student("oracle", "oracle", plain, reference=True))
    students += [
        Student("shuffled_teacher", "control", settings, "shuffled"),
        Student("constant_teacher", "control", settings, "constant"),
    ]
    return students


def _tag(**turned: float | None) -> str:
    return ",".join(f"{name}={value:g}" for name, value in turned.items() if value is not None) or "as configured"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
