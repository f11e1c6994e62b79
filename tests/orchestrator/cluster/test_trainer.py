"""The roster's training on real Ray Train: any number of workers, SIGKILL, damaged checkpoints."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from foundation.errors import RaydistillError
from foundation.events import Event
from foundation.model import PluginOptions
from orchestrator.cluster import events
from orchestrator.cluster.jobs import job_fingerprint, pack_job, unpack_job
from orchestrator.cluster.labelling import label
from orchestrator.cluster.session import Session
from orchestrator.cluster.students import StudentStore
from orchestrator.cluster.trainer import train_roster
from orchestrator.cluster.worker import training_data
from pipelines.loop import TrainJob, train
from pipelines.objective_config import ObjectiveConfig
from pipelines.students.mlp import Options as Mlp
from pipelines.train_config import TrainConfig

from .project import PLAIN, Project, make_project

pytestmark = pytest.mark.ray


def make_job(name: str, seed: int = 0, epochs: int = 6, **changes: Any) -> TrainJob:
    objective = {
        "terms": {
            "distill": {
                "rows": "all",
                "method": {"kind": "kl"},
                "fusion": {"kind": "losses"},
                "weighting": {"kind": "uniform"},
                "lenses": [{"kind": "temperature", "value": 2.0}],
                "share": 0.8,
            },
            "labels": {"rows": "labelled", "method": {"kind": "cross_entropy"}, "share": 0.2},
        }
    }
    training = {"epochs": epochs, "batch": {"all": 16, "labelled": 4}, "optimizer": {"kind": "adam", "lr": 0.01}}
    student: PluginOptions = Mlp(hidden=(8,))
    return TrainJob(
        name, seed, student, ObjectiveConfig.model_validate(objective), TrainConfig.model_validate(training | changes)
    )


@pytest.fixture(scope="module")
def project(ray_session: Session, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two teachers, all rows labelled by them, some rows with a class."""
    folder = tmp_path_factory.mktemp("train")
    sources = {f"train_{n}": PLAIN.replace("SCALE", str(n)) for n in (1, 2)}
    made = make_project(folder, sources, labelled=range(0, 60, 4))
    list(label(ray_session, made.tasks(), made.spec, journal=made.journal))
    return made


def undisturbed(project: Project, job: TrainJob) -> dict[str, torch.Tensor]:
    data = training_data(project.spec, ("all", "labelled"))
    *_, last = train(job, data)
    return {name: value.detach().clone() for name, value in last.student.state_dict().items()}


def check_equal(project: Project, run_dir: Path, job: TrainJob, tolerance: float = 1e-6) -> None:
    stored = StudentStore(run_dir / "students").load(job.name, job.seed)
    for name, value in undisturbed(project, job).items():
        torch.testing.assert_close(stored[name], value, rtol=0, atol=tolerance)


def of(kind: type[Any], told: list[Event]) -> list[Any]:
    return [event for event in told if isinstance(event, kind)]


def test_a_job_survives_the_journey() -> None:
    job = make_job("plain", 3)
    assert pack_job(unpack_job(pack_job(job))) == pack_job(job)


def test_what_decides_the_student_decides_its_fingerprint(project: Project) -> None:
    mark = job_fingerprint(make_job("a"), project.spec)
    assert mark == job_fingerprint(make_job("a", workers=2, checkpoint_every=3), project.spec)
    for other in (make_job("b"), make_job("a", 1), make_job("a", epochs=7), make_job("a", schedule="cosine")):
        assert job_fingerprint(other, project.spec) != mark


def test_a_roster_is_trained_once_and_then_reused(
    ray_session: Session, no_session: Session, project: Project, tmp_path: Path
) -> None:
    jobs = [make_job("one", 0), make_job("one", 1), make_job("teacher:two", 0)]
    arguments: dict[str, Any] = {"run_dir": tmp_path, "fingerprint": "f" * 64}
    told = list(train_roster(ray_session, jobs, project.spec, **arguments))
    assert [(event.name, event.seed) for event in of(events.StudentDone, told)] == [(j.name, j.seed) for j in jobs]
    for job in jobs:
        check_equal(project, tmp_path, job)
    facts = StudentStore(tmp_path / "students").facts("one", 1)
    assert facts is not None and facts["epochs"] == 6 and facts["parameters"] == 2 * 8 + 8 + 8 * 3 + 3
    again = list(train_roster(no_session, jobs, project.spec, **arguments))
    assert [event.reused for event in again if isinstance(event, events.StudentDone)] == [True] * 3
    weights = tmp_path / "students" / "one" / "1.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert not StudentStore(tmp_path / "students").finished("one", 1, job_fingerprint(jobs[1], project.spec))


PAIR = make_job("pair", epochs=600, checkpoint_every=20)
TWO: dict[str, Any] = {"fingerprint": "e" * 64, "workers": 2, "checkpoint_least_s": 0.0}
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def calm(ray_session: Session, project: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Weights]:
    """An undisturbed run of two workers: its folder, and where it ended."""
    run_dir = tmp_path_factory.mktemp("calm")
    list(train_roster(ray_session, [PAIR], project.spec, run_dir=run_dir, **TWO))
    check_equal(project, run_dir, PAIR, 1e-5)  # one worker adds up in another order, 2400 steps long
    return run_dir, StudentStore(run_dir / "students").load("pair", 0)


def check_same(run_dir: Path, calm: Weights) -> None:
    mine = StudentStore(run_dir / "students").load("pair", 0)
    for name, value in calm.items():
        torch.testing.assert_close(mine[name], value, rtol=0, atol=1e-6)


def test_a_killed_worker_changes_nothing(
    ray_session: Session, project: Project, calm: tuple[Path, Weights], tmp_path: Path
) -> None:
    """F35: a worker is SIGKILLed after a checkpoint; the run goes on from it and ends where an undisturbed one ends."""
    told: list[Event] = []
    killed: list[int] = []

    def kill_one() -> None:
        storage = tmp_path / "train"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not list(storage.glob("train-*/checkpoint_*/checkpoint.json")):
            time.sleep(0.02)
        for pid, _ in ray_session.processes():
            name = " ".join(psutil.Process(pid).cmdline())
            if "RayTrainWorker" in name and not killed:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    thread = threading.Thread(target=kill_one)
    thread.start()
    told += train_roster(ray_session, [PAIR], project.spec, run_dir=tmp_path, **TWO)
    thread.join()
    assert killed, "no worker was killed"
    [resumed] = of(events.TrainingResumed, told)
    assert resumed.epoch > 0 and resumed.epoch % 20 == 0
    assert len(of(events.StudentDone, told)) == 1
    check_same(tmp_path, calm[1])


def test_damaged_checkpoints_are_named_and_an_older_one_is_used(
    ray_session: Session, project: Project, calm: tuple[Path, Weights]
) -> None:
    run_dir, weights = calm
    storage = run_dir / "train" / f"train-{'e' * 16}"
    numbered = {json.loads(path.read_text())["number"]: path.parent for path in storage.glob("*/checkpoint.json")}
    kept = [folder for _, folder in sorted(numbered.items())]
    assert len(kept) == 3
    (run_dir / "students" / "pair" / "0.json").unlink()  # as if the run had died just before the commit
    state = kept[-1] / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-7])
    (kept[-2] / "state.safetensors").unlink()
    told = list(train_roster(ray_session, [PAIR], project.spec, run_dir=run_dir, **TWO))
    assert {Path(event.path) for event in of(events.CheckpointDamaged, told)} == {kept[-1], kept[-2]}
    [resumed] = of(events.TrainingResumed, told)
    assert resumed.epoch == 540
    check_same(run_dir, weights)


def test_an_error_of_ours_is_told_as_it_is_and_not_tried_again(
    ray_session: Session, project: Project, tmp_path: Path
) -> None:
    wrong = make_job("wrong", batch={"all": 16})  # no batch size for the row set `labelled`
    with pytest.raises(RaydistillError, match="row set"):
        list(train_roster(ray_session, [wrong], project.spec, run_dir=tmp_path, fingerprint="c" * 64))
