"""A run folder as a run leaves it, made from real computations: teachers and students are scikit-learn models on the
bundled digits. Small and quick; the students are linear and learn from their teachers' hard answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier

from foundation.fingerprint import fingerprint
from orchestrator.report import inputs as form
from orchestrator.report.predictions import Predictions, write_predictions
from teachers.row_keys import chunk_digests, row_keys

CLASSES = tuple(str(digit) for digit in range(10))
KNOWN = {"trees_low": range(5), "trees_high": range(5, 10), "knn_even": range(0, 10, 2), "logreg_odd": range(1, 10, 2)}
KNOWN |= {"office_logreg": range(10), "office_trees": range(10), "office_knn": range(10)}
WEIGHTS = {"trees_low": 0.31, "trees_high": 0.27, "knn_even": 0.22, "logreg_odd": 0.19, "office_logreg": 0.01}
SWAP = np.array([0, 7, 2, 8, 9, 5, 6, 1, 3, 4])
SEEDS = (0, 1, 2)
CONFIG = "format: 1\nname: fake\ndata:\n  label: digit   # <b>not bold</b>\n"


def make_run(run_dir: Path, *, labelled: bool = True, seeds: tuple[int, ...] = SEEDS, bad: str = "office") -> Path:
    """Writes a complete run folder. `bad`: 'office' swaps classes for three teachers, 'shuffled' makes one teacher a
    stranger to the others, 'nothing' leaves all teachers good."""
    pixels, digits = load_digits(return_X_y=True)
    pixels = pixels.astype(np.float32) / 16
    order = np.random.default_rng(0).permutation(len(digits))
    private, transfer, test = order[:500], order[500:1200], order[1200:1500]
    keys_N = row_keys({"pixels": pixels})
    labels_N = digits[test] if labelled else np.full(len(test), -1)
    answers = _teachers(pixels, digits, private, bad)
    for name, (positions, logits) in answers.items():
        columns = Predictions(keys_N[test], logits[test][:, list(positions)], labels_N)
        write_predictions(run_dir, "teachers", name, 0, columns)
    roster = _roster()
    if not labelled:
        roster = [one for one in roster if one.kind != "labels_only"]
    for student in roster:
        for seed in seeds:
            targets = _targets(student, answers, transfer, digits, seed)
            logits = _student(pixels[transfer], targets, pixels[test], seed)
            write_predictions(run_dir, "students", student.name, seed, Predictions(keys_N[test], logits, labels_N))
    _write_inputs(run_dir, roster, keys_N, seeds, labelled)
    return run_dir


def _teachers(pixels, digits, private, bad):
    rng = np.random.default_rng(1)
    swapped = np.where(rng.random(len(digits)) < 0.75, SWAP[digits], digits)
    shuffled = rng.permutation(digits)
    out = {}
    for name, known in KNOWN.items():
        office = name.startswith("office")
        truth = swapped if bad == "office" and office else digits
        if bad == "shuffled" and name == "office_knn":
            truth = shuffled
        rows = private[np.isin(truth[private], list(known))]
        if "trees" in name:
            model = ExtraTreesClassifier(30, random_state=0)
        elif "knn" in name:
            model = KNeighborsClassifier(5)
        else:
            model = LogisticRegression(C=0.05, max_iter=300)
        p = (model.fit(pixels[rows], truth[rows]).predict_proba(pixels) + 1e-3) / (1 + 1e-3 * len(known))
        logits = np.zeros((len(digits), 10), np.float32)
        logits[:, list(known)] = np.log(p)
        out[name] = (tuple(known), logits)
    return out


def _roster():
    plain = {name: 1 / len(KNOWN) for name in KNOWN}
    make = form.RosterStudent
    shared = {"parameters": 650, "bytes": 2_792, "seconds_per_row": 4e-7}
    roster = [make(name="labels_only", kind="labels_only", label_share=1.0, trial="labels_only", **shared)]
    roster += [
        make(
            name=f"teacher:{one}",
            kind="single",
            teachers=(one,),
            temperature=2.0,
            weights={one: 1.0},
            label_share=0.125,
            validation_score=0.7,
            trial=f"teacher:{one}@T=2,s=0.125",
            **shared,
        )
        for one in KNOWN
    ]
    full = {name: WEIGHTS.get(name, 0.0) for name in KNOWN}
    for name, kind, weights in (
        ("plain_mean", "plain_mean", plain),
        ("plain_mean_tuned", "plain_mean_tuned", plain),
        ("searched", "searched", full),
        ("oracle", "oracle", dict.fromkeys(tuple(KNOWN)[:4], 0.25)),
        ("shuffled_teacher", "control", full),
        ("constant_teacher", "control", full),
    ):
        roster.append(
            make(
                name=name,
                kind=kind,
                teachers=tuple(n for n, w in weights.items() if w),
                temperature=2.31,
                weights=weights,
                label_share=0.21,
                validation_score=0.9,
                reference=kind == "oracle",
                trial="t0007" if kind == "searched" else None,
                **shared,
            )
        )
    return roster


def _targets(student, answers, transfer, digits, seed):
    """Hard targets: the weighted mixture's answers, 40 of them replaced by true labels."""
    rng = np.random.default_rng(seed)
    total = np.zeros((len(transfer), 10))
    for name, weight in student.weights.items():
        positions, logits = answers[name]
        part = np.exp(logits[transfer][:, list(positions)])
        total[:, list(positions)] += weight * part / part.sum(axis=1, keepdims=True)
    targets = total.argmax(axis=1)
    if student.name == "shuffled_teacher":
        targets = rng.permutation(targets)
    if student.name == "constant_teacher" or not student.weights:
        targets = np.full(len(transfer), -1)
    targets[:40] = digits[transfer[:40]]
    return targets


def _student(train, targets, test, seed):
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(targets >= 0))[: 10 + int(0.8 * len(targets))]
    model = SGDClassifier(loss="log_loss", alpha=1e-3, random_state=seed, max_iter=25, tol=None)
    model.fit(train[rows], targets[rows])
    out = np.full((len(test), 10), -8.0, np.float32)
    scores = model.decision_function(test)
    out[:, model.classes_] = scores if scores.ndim == 2 else np.stack([-scores, scores], axis=1)
    return out


def _write_inputs(run_dir, roster, keys_N, seeds, labelled):
    marks = {name: fingerprint(name) for name in KNOWN}
    form.write_input(run_dir, form.Roster(students=tuple(roster)))
    teachers = tuple(
        form.TeacherInfo(
            name=name,
            classes=tuple(CLASSES[c] for c in known),
            fingerprint=marks[name],
            entry=fingerprint([name]),
            seconds_per_row=2e-4 + 1e-5 * index,
            bytes=40_000 * (index + 1),
            rows=1297,
        )
        for index, (name, known) in enumerate(KNOWN.items())
    )
    form.write_input(run_dir, form.Teachers(teachers=teachers))
    trials = _write_search(run_dir, labelled)
    form.write_input(
        run_dir,
        form.Counters(
            teacher_loads=21,
            rows_labelled=9079,
            rows_reused=0,
            trials=trials,
            teacher_rows_during_search=0,
            actor_deaths=1,
            rows_quarantined=0,
        ),
    )
    _write_circumstances(run_dir, keys_N, seeds)
    (run_dir / "config.yaml").write_text(CONFIG, encoding="utf-8")


def _write_search(run_dir, labelled):
    rng = np.random.default_rng(3)
    names = ["uniform", *(f"teacher:{name}@T=2,s=0.125" for name in KNOWN), *(f"without:{name}" for name in KNOWN)]
    scores = [0.72, *rng.uniform(0.45, 0.75, 7), *rng.uniform(0.65, 0.8, 7), *(0.93 - 0.35 * rng.beta(1.2, 4, 75))]
    trials = [
        form.TrialRecord(
            key=f"t{index:04d}",
            name=names[index] if index < len(names) else None,
            score=float(score),
            params={"T": 2.0},
            temperature=2.0,
            weights=WEIGHTS,
            label_share=0.2,
            epochs=40 if index % 3 else 10,
            status="done" if index % 3 or index < 15 else "stopped",
        )
        for index, score in enumerate(scores)
    ]
    form.write_trials(run_dir, trials)
    dimensions = ("objective.terms.distill.lenses.0.value", *(f"weights[{name}]" for name in KNOWN), "share")
    budget = {"trials": len(trials), "epochs": 40, "folds": 2}
    form.write_input(
        run_dir,
        form.SearchRecord(
            trials=len(trials),
            dimensions=dimensions,
            budget=budget,
            metric="accuracy" if labelled else "fidelity",
            rows="labelled",
            chosen="t0007",
        ),
    )
    return len(trials)


def _write_circumstances(run_dir, keys_N, seeds):
    entries = tuple(
        form.LineageEntry(teacher=name, entry=fingerprint([name]), generation=3, shards=33, rows=1297, bytes=98_304)
        for name in KNOWN
    )
    form.write_input(
        run_dir,
        form.Lineage(
            run=fingerprint("run"),
            data=fingerprint("data"),
            chunk_digests=tuple(chunk_digests(keys_N)),
            rows={"transfer": 697, "test": 300},
            entries=entries,
        ),
    )
    form.write_input(
        run_dir,
        form.Context(
            name="fake",
            classes=CLASSES,
            seeds=seeds,
            command="raydistill run examples/digits/trust.yaml",
            versions={"raydistill": "0.1.0", "torch": "2.13.0"},
            inputs=("pixels",),
            student="mlp 64-24-10",
        ),
    )
    seconds = {
        "plan": 0.2,
        "prepare": 1.4,
        "preflight": 0.9,
        "label": 11.2,
        "search": 48.3,
        "train": 21.0,
        "evaluate": 0.6,
    }
    form.write_input(run_dir, form.Timings(seconds=seconds))
