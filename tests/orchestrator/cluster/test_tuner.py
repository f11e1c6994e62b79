"""The search on real Ray Tune: journal first, nothing trained twice, SIGKILLs of driver and trial processes."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from foundation.errors import ClusterError
from foundation.events import Event
from orchestrator.cluster.events import TrialDone
from orchestrator.cluster.labelling import label
from orchestrator.cluster.session import Session
from orchestrator.cluster.trials import KIND, SearchSpec, Trial, run_trial, template_of
from orchestrator.cluster.tuner import Enqueued, SearchOutcome, search
from orchestrator.config.sections import SearchConfig
from orchestrator.journal import Journal

from .project import PLAIN, Project, make_project

pytestmark = pytest.mark.ray


def tree_of(project: Project, epochs: int = 3) -> dict[str, Any]:
    names = list(project.teachers)
    return {
        "teachers": dict.fromkeys(names),
        "student": {"kind": "mlp", "hidden": [8]},
        "objective": {
            "terms": {
                "distill": {
                    "rows": "all",
                    "method": {"kind": "kl"},
                    "fusion": {"kind": "losses"},
                    "weighting": {"kind": "fixed", "weights": dict.fromkeys(names, 0.5)},
                    "lenses": [{"kind": "temperature", "value": 2.0}],
                    "share": 0.8,
                },
                "labels": {"rows": "labelled", "method": {"kind": "cross_entropy"}, "share": 0.2},
            }
        },
        "train": {"epochs": epochs, "batch": {"all": 16, "labelled": 4}, "optimizer": {"kind": "adam", "lr": 0.01}},
    }


SPACE = {
    "objective.terms.distill.lenses.0.value": {"kind": "log_uniform", "low": 1, "high": 8},
    "objective.terms.distill.weighting.weights": {"kind": "simplex", "zero_below": 0.2},
    "objective.terms.labels.share": {"kind": "uniform", "low": 0.02, "high": 0.6},
}


def config_of(trials: int, epochs: int = 6, **changes: Any) -> SearchConfig:
    base = {
        "trials": trials,
        "epochs": epochs,
        "halving": {"grace_epochs": 2, "reduction": 2},
        "score": {"metric": "accuracy", "rows": "labelled"},
        "space": SPACE,
    }
    return SearchConfig.model_validate(base | changes)


def enqueued(project: Project) -> list[Enqueued]:
    path = "objective.terms.distill.weighting.weights"
    names = list(project.teachers)
    alone = [Enqueued(f"alone:{name}", {path: {other: float(other == name) for other in names}}) for name in names]
    return [Enqueued("uniform", {path: dict.fromkeys(names, 0.5)}), *alone]


@pytest.fixture(scope="module")
def project(ray_session: Session, tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("search")
    sources = {f"search_{n}": PLAIN.replace("SCALE", str(n)) for n in (1, 2)}
    made = make_project(folder, sources, labelled=range(0, 60, 2))
    list(label(ray_session, made.tasks(), made.spec, journal=made.journal))
    return made


def spec_of(project: Project, config: SearchConfig, run_dir: Path) -> SearchSpec:
    import json

    return SearchSpec(
        project.spec,
        json.dumps(template_of(tree_of(project))),
        config.score.model_dump_json(),
        config.epochs,
        config.folds,
        config.repeats,
        config.seed,
        (2, 4),
        str(run_dir),
        True,
    )


def check_reruns(project: Project, config: SearchConfig, run_dir: Path, outcome: SearchOutcome) -> None:
    """Any trial rerun alone, here in this process, gives its recorded scores."""
    fields = Trial.__dataclass_fields__
    for record in outcome.trials:
        trial = Trial(**{name: record[name] for name in fields})
        *_, last = run_trial(spec_of(project, config, run_dir), trial)
        assert last.scores[: len(record["scores"])] == record["scores"], record["name"]
        assert record["teacher_rows"] == 0


def test_a_search_is_recorded_and_never_repeated(
    ray_session: Session, no_session: Session, project: Project, tmp_path: Path
) -> None:
    config, journal, told = config_of(12), Journal(tmp_path), list[Event]()
    arguments: Any = (config, tree_of(project), enqueued(project), project.spec)
    outcome = search(ray_session, *arguments, journal=journal, run_dir=tmp_path, on_event=told.append)
    assert len(outcome.trials) == len(journal.keys(KIND)) == 12
    assert outcome.dimensions == 4
    first = [record for record in outcome.trials if record["name"]]
    assert [record["name"] for record in first] == ["uniform", "alone:search_1", "alone:search_2"]
    assert all(record["status"] == "finished" and record["epochs"] == 6 for record in first)
    assert outcome.best is not None
    assert outcome.best["score"] == max(r["score"] for r in outcome.trials if r["status"] == "finished")
    for record in outcome.trials:
        if record["status"] == "stopped":
            assert record["epochs"] in (2, 4)
    check_reruns(project, config, tmp_path, outcome)
    assert {event.key for event in told if isinstance(event, TrialDone)} == set(journal.keys(KIND))
    again: list[Event] = []
    assert search(no_session, *arguments, journal=journal, run_dir=tmp_path, on_event=again.append) == outcome
    assert all(isinstance(event, TrialDone) and event.reused for event in again)


_DRIVER = """
import pickle, sys
from pathlib import Path
from foundation import registry
from orchestrator.cluster.config import ClusterConfig
from orchestrator.cluster.session import Session
from orchestrator.cluster.tuner import search, Enqueued
from orchestrator.config.sections import SearchConfig
from orchestrator.journal import Journal
run_dir = Path(sys.argv[1])
spec, config, tree, enqueued = pickle.loads((run_dir / "arguments").read_bytes())
registry.install(spec.guests)
config = SearchConfig.model_validate_json(config)
first = [Enqueued(name, settings) for name, settings in enqueued]
with Session(ClusterConfig(num_cpus=2, object_store_mb=100), namespace="t") as session:
    search(session, config, tree, first, spec, journal=Journal(run_dir), run_dir=run_dir)
"""


def test_a_killed_driver_loses_no_finished_trial(ray_session: Session, project: Project, tmp_path: Path) -> None:
    """F36: SIGKILL of the driver in the middle; the second attempt serves what is on record and tops it up."""
    config, tree, first = config_of(10, epochs=30, halving=None), tree_of(project), enqueued(project)
    settings = [(one.name, dict(one.settings)) for one in first]
    (tmp_path / "arguments").write_bytes(pickle.dumps((project.spec, config.model_dump_json(), tree, settings)))
    journal = Journal(tmp_path)
    driver = subprocess.Popen([sys.executable, "-c", _DRIVER, str(tmp_path)])
    deadline = time.monotonic() + 90
    while len(journal.keys(KIND)) < 3 and time.monotonic() < deadline:
        assert driver.poll() is None, "the driver ended before it was killed"
        time.sleep(0.02)
    processes = psutil.Process(driver.pid).children(recursive=True)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    psutil.wait_procs(processes, timeout=30)  # trials outlive their driver by a second or two and may still record
    before = journal.all(KIND)
    assert 3 <= len(before) < 10
    outcome = search(ray_session, config, tree, first, project.spec, journal=journal, run_dir=tmp_path)
    assert len(outcome.trials) == 10
    after = {record["key"]: record for record in outcome.trials}
    assert {key: after[key] for key in before} == before
    assert len({record["content"] for record in outcome.trials}) == 10
    assert sorted(r["name"] for r in outcome.trials if r["name"]) == sorted(one.name for one in first)
    check_reruns(project, config, tmp_path, outcome)


def test_a_killed_trial_process_is_replaced(ray_session: Session, project: Project, tmp_path: Path) -> None:
    config, journal = config_of(5, epochs=60, halving=None), Journal(tmp_path)
    killed: list[int] = []

    def kill() -> None:
        deadline = time.monotonic() + 60
        while not killed and time.monotonic() < deadline:
            time.sleep(0.2)
            if not journal.keys(KIND):
                continue
            for pid, _ in ray_session.processes():
                name = " ".join(psutil.Process(pid).cmdline())
                if "ImplicitFunc" in name and "train" in name and not killed:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    thread = threading.Thread(target=kill)
    thread.start()
    outcome = search(
        ray_session, config, tree_of(project), enqueued(project), project.spec, journal=journal, run_dir=tmp_path
    )
    thread.join()
    assert killed
    assert [record["status"] for record in outcome.trials] == ["finished"] * 5
    check_reruns(project, config, tmp_path, outcome)


def test_equal_points_are_served_from_the_record(ray_session: Session, project: Project, tmp_path: Path) -> None:
    space = {"objective.terms.distill.lenses.0.value": {"kind": "choice", "values": [1.0, 4.0]}}
    config, journal = config_of(8, halving=None, space=space, concurrent=1), Journal(tmp_path)
    tree = tree_of(project)
    outcome = search(ray_session, config, tree, [], project.spec, journal=journal, run_dir=tmp_path)
    assert len(outcome.trials) == 8
    trained = [record for record in outcome.trials if not record.get("duplicate_of")]
    assert len(trained) == 2
    by_content = {record["content"]: record["score"] for record in trained}
    assert all(record["score"] == by_content[record["content"]] for record in outcome.trials)


def test_a_setting_that_cannot_be_trained_is_recorded_as_failed(
    ray_session: Session, project: Project, tmp_path: Path
) -> None:
    bad = Enqueued("bad", {"objective.terms.distill.rows": "nowhere"})
    config, journal = config_of(2), Journal(tmp_path)
    outcome = search(
        ray_session,
        config,
        tree_of(project),
        [bad, enqueued(project)[0]],
        project.spec,
        journal=journal,
        run_dir=tmp_path,
    )
    assert {record["name"]: record["status"] for record in outcome.trials} == {"bad": "failed", "uniform": "finished"}
    assert outcome.best is not None and outcome.best["name"] == "uniform"
    with pytest.raises(ClusterError, match="No trial"):
        search(
            ray_session,
            config_of(1),
            tree_of(project),
            [bad],
            project.spec,
            journal=Journal(tmp_path / "b"),
            run_dir=tmp_path / "b",
        )
