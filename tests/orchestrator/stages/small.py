"""A small run whose slow middle parts are done in this process: real teachers, labels, trials and students, no Ray."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.cluster.jobs import job_fingerprint
from orchestrator.cluster.students import StudentStore
from orchestrator.cluster.trials import KIND, History, Status, make_trial, record_of, template_of
from orchestrator.cluster.worker import open_host
from orchestrator.config.load import LoadedConfig, load_config
from orchestrator.observe.observer import Observer
from orchestrator.observe.screen import SilentScreen
from orchestrator.roster import baselines, roster
from orchestrator.stages.label import Ready, Todo, label, make_ready, plan
from orchestrator.stages.search import Outcome
from orchestrator.stages.train import configured
from orchestrator.stages.work import Work, open_work
from orchestrator.stop import StopRequest
from pipelines.loop import TrainJob
from pipelines.loop import train as train_here

CLASSES = ("a", "b", "c")
TEACHERS = ("near", "far")
ROWS, TEST, LABELLED, UNIT = 96, 32, 24, 16
_GUEST = """
import numpy as np
KIND = "function"
VERSION = "1"
CENTRES = np.array([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])

def answer(inputs):
    """
_RIGHT = 'return -SCALE * ((inputs["x"].astype(np.float64)[:, None] - CENTRES) ** 2).sum(-1).astype(np.float32)'


def make(folder: Path, *sets: str, labels: bool = True, search: bool = True, wrong: str | None = None) -> LoadedConfig:
    """Writes data and guests and loads the configuration. The last two test rows have equal content.

    `wrong` replaces the body of the second teacher's answer.
    """
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, ROWS)
    x = np.array([[0, 2], [2, -1], [-2, -1]])[truth] + rng.normal(scale=1.0, size=(ROWS, 2))
    x[-1], truth[-1] = x[-2], truth[-2]
    test = np.arange(ROWS) >= ROWS - TEST
    known = test | (np.arange(ROWS) < LABELLED)
    columns = {
        "x": pa.FixedSizeListArray.from_arrays(pa.array(x.astype(np.float32).ravel()), 2),
        "y": pa.array([CLASSES[one] if ok else None for one, ok in zip(truth, known, strict=True)]),
        "split": pa.array(np.where(test, "test", "transfer").tolist()),
    }
    pq.write_table(pa.table(columns), folder / "data.parquet")
    plugins = []
    for scale, name in enumerate(TEACHERS, 1):
        body = wrong if wrong and name == TEACHERS[1] else _RIGHT.replace("SCALE", str(scale))
        (folder / f"stages_{name}.py").write_text(_GUEST + body + "\n")
        plugins.append(folder / f"stages_{name}.py")
    return load_config(_tree(labels, search), sets, plugins, base_dir=folder)


def _tree(labels: bool, search: bool) -> dict[str, Any]:
    distill = {"rows": "transfer", "method": "kl", "lenses": [{"kind": "temperature", "value": 2.0}], "share": 0.8}
    terms: dict[str, Any] = {
        "distill": {**distill, "weighting": {"kind": "fixed", "weights": dict.fromkeys(TEACHERS, 1.0)}}
    }
    if labels:
        terms["labels"] = {"rows": "labelled", "method": "cross_entropy", "share": 0.2}
    space = {
        "objective.terms.distill.lenses.0.value": {"kind": "log_uniform", "low": 1, "high": 8},
        "objective.terms.distill.weighting.weights": {"kind": "simplex", "zero_below": 0.2},
    }
    tree = {
        "format": 1,
        "name": "stages",
        "data": {
            "source": {"kind": "parquet", "path": "data.parquet"},
            "inputs": ["x"],
            "label": "y",
            "classes": list(CLASSES),
            "split": {"column": "split"},
            "splits": {
                "transfer": {"values": ["transfer"]},
                "labelled": {"values": ["transfer"], "labelled": True},
                "test": {"values": ["test"]},
            },
        },
        "teachers": {name: {"backend": {"kind": "function", "function": f"stages_{name}"}} for name in TEACHERS},
        "cache": {"unit_rows": UNIT},
        "label": {"rows": ["transfer", "test"]},
        "student": {"kind": "mlp", "hidden": [6]},
        "objective": {"terms": terms},
        "train": {"epochs": 3, "batch": {"transfer": 32, **({"labelled": 12} if labels else {})}},
        "compare": {"seeds": [0, 1], "tuning": {"temperatures": [2], "label_shares": [0.2]}},
    }
    if search:
        tree["search"] = {"trials": 1, "epochs": 2, "score": {"metric": "accuracy", "rows": "labelled"}, "space": space}
    return tree


@contextmanager
def opened(loaded: LoadedConfig, run_dir: Path, *, allow_quarantine: bool = False) -> Iterator[Work]:
    with Observer(screen=SilentScreen()) as observer:
        flags = {"allow_quarantine": allow_quarantine, "paranoid": False}
        with open_work(loaded, run_dir, observer, StopRequest(), **flags) as work:
            yield work


def label_here(work: Work, *, publish: bool = True) -> Todo:
    """What the actors do, in this process; then the stage, which finds nothing left to do."""
    todo = plan(work)
    make_ready(work, todo)
    for name, one in todo.items():
        if one.units:
            host = open_host(work.worker_spec, name, UNIT, None)
            receipts = [host.label(unit) for unit in one.units]
            if publish:
                work.entries[name].publish(receipts, run=work.run_id)
    if publish:
        label(work, plan(work), Ready({}, {}))
    return todo


def record_trials(work: Work, scores: Mapping[str, float], statuses: Mapping[str, Status] | None = None) -> None:
    """Puts every enqueued baseline on record, as the trials' processes do; a score that isn't given is 0.5."""
    tree = work.config.tree()
    for number, one in enumerate(baselines(tree)):
        trial = make_trial(template_of(tree), number, one.name, None, one.settings)
        score = scores.get(one.name, 0.5)
        history = History([score if math.isfinite(score) else None], {"accuracy": 0.5}, 0, 0.1, True)
        work.journal.put(KIND, trial.key, record_of(trial, history, (statuses or {}).get(one.name, "finished")))


def train_students(work: Work, outcome: Outcome) -> StudentStore:
    """Trains and commits the whole roster, as a Train worker does."""
    store = StudentStore(work.folder.paths.students)
    tree = work.config.tree()
    for student in roster(tree, outcome.tried, outcome.winner):
        config = configured(tree, student)
        for seed in config.compare.seeds:
            job = TrainJob(student.name, seed, config.student, config.objective, config.train, student.signals)
            *_, last = train_here(job, work.training_data)
            facts = {"epochs": last.epoch, "losses": last.to_json()["losses"], "rows": last.rows}
            store.commit(job.name, seed, last.student, job_fingerprint(job, work.worker_spec), facts)
    return store


def events_of(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "events.jsonl").read_text().splitlines()]
