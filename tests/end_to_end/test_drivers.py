"""Drivers that die, meet, or lose their cluster (F3, F5, F22)."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from teachers.cache.cache import LabelCache
from teachers.cache.config import CacheConfig
from tests.end_to_end.drive import LIMIT_S, ROWS, Project, numbers

pytestmark = pytest.mark.ray


def test_one_driver_per_run_folder_and_several_per_cache(tmp_path: Path) -> None:
    project = Project(tmp_path / "two")
    project.slow(0.3)
    first = project.start("label", "one")
    first.wait_stage("prepare")
    other = project.start("label", "other")
    refused = project.run("label", "one")
    assert refused.code == 75 and refused.json["error"]["code"] == "E-LOCKED"
    assert f"process {first.driver.pid}" in refused.stderr
    ended = [first.end(), other.end()]
    assert [done.code for done in ended] == [0, 0], ended[0].stderr + ended[1].stderr
    assert sum(done.counters["rows_labelled"] for done in ended) >= 2 * ROWS
    for entry in LabelCache.open(CacheConfig(), project.folder, create=False).entries():
        keys = entry.committed().keys
        assert len(keys) == len(set(keys)) == ROWS
        assert list(entry.audit(paranoid=True)) == []
    assert [done.left_behind() for done in ended] == [{}, {}]


@pytest.mark.parametrize("daemon", ["gcs_server", "raylet"])
def test_a_cluster_that_is_lost_is_told_at_once_and_the_rest_follows(tmp_path: Path, daemon: str) -> None:
    project = Project(tmp_path / "lost")
    project.slow(0.5)
    command = project.start("label", "run")
    command.wait_for(lambda event: event["event"] == "UnitDone", 2)
    (process,) = command.daemons(daemon)
    process.kill()
    done = command.end(45)
    assert done.code == 75, done.stderr
    assert done.stderr.count("E-CLUSTER-LOST") == 1 and "Traceback" not in done.stderr
    assert done.left_behind() == {}
    project.slow(None)
    again = project.run("label", "run")
    assert again.code == 0 and again.counters["rows_reused"] + again.counters["rows_labelled"] >= 2 * ROWS


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["search", "train"])
def test_a_cluster_that_is_lost_later(tmp_path: Path, stage: str) -> None:
    project = Project(tmp_path / "lost")
    longer = ("--set", "search.epochs=60", "--set", "train.epochs=300", "--set", "train.checkpoint_every=20")
    command = project.start("run", "run", *longer)
    kind = {"search": "TrialDone", "train": "StudentProgress"}[stage]
    command.wait_for(lambda event: event["event"] == kind)
    (process,) = command.daemons("gcs_server")
    process.kill()
    done = command.end(45)
    assert done.code == 75 and done.left_behind() == {}, done.stderr
    assert project.run("run", "run", *longer).code == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_driver_killed_in_every_phase_leaves_nothing_undone_twice(tmp_path: Path) -> None:
    """The searched trials may differ from an undisturbed run's: which points are tried depends on when scores come in.
    What is on record stays, and all students but the searched one are the same to the last digit."""
    options = ("--set", "search.concurrent=1")
    calm = Project(tmp_path / "calm")
    assert calm.run("run", "run", *options).code == 0
    project = Project(tmp_path / "killed")
    trials: set[str] = set()
    for stage, kind in (("label", "UnitDone"), ("search", "TrialDone"), ("train", "StudentDone"), ("export", "")):
        project.slow(0.4 if stage == "label" else None)
        command = project.start("run", "run", *options)
        if kind:
            command.wait_for(lambda event, kind=kind: event["event"] == kind and not event.get("reused"), 2)
        else:
            command.wait_stage(stage)
        done = command.kill()
        assert done.left_behind() == {}
        now = {path.name for path in (project.folder / "run" / "journal" / "trials").glob("*.json")}
        assert trials <= now
        trials = now
    done = project.run("run", "run", *options)
    assert done.code == 0, done.stderr
    assert done.of("ActorReady") == [] and all(event["reused"] for event in done.of("TrialDone"))
    fixed = ("labels_only", "plain_mean")
    one, two = (
        {student["name"]: student for student in numbers(each.folder / "run")["students"] if student["name"] in fixed}
        for each in (calm, project)
    )
    assert one == two


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_torch_teachers_with_a_killed_actor_and_a_killed_train_worker(tmp_path: Path) -> None:
    """Two Train workers; labels bit-equal and checkpoints exact, so the final numbers are equal to the last digit."""
    import subprocess
    import sys

    from benchmarks.cli import ROOT
    from tests.end_to_end.drive import Command

    example = ROOT / "examples" / "digits"
    for script in ("make_data.py", "make_torch_teachers.py"):
        subprocess.run([sys.executable, str(example / script)], check=True, timeout=LIMIT_S)

    def start(name: str) -> Command:
        where = ["--run-dir", tmp_path / name, "--set", f"cache.root={tmp_path / name}-cache"]
        guests = ["--plugin", example / "cnn.py", "--plugin", example / "mlp_teacher.py"]
        search = ["--set", "search.concurrent=1"]  # else the order in which scores come in decides what is tried
        return Command(["run", example / "torch_teachers.yaml", *where, *guests, *search, "--json"], tmp_path / name)

    assert start("calm").end(500).code == 0
    command = start("hurt")
    ready = command.wait_for(lambda event: event["event"] == "ActorReady")
    command.wait_for(lambda event: event["event"] == "UnitDone" and event["teacher"] == ready["teacher"], 2)
    psutil.Process(ready["pid"]).kill()
    command.wait_for(lambda event: event["event"] == "StudentProgress", 3)
    workers = command.daemons("ray::RayTrainWorker")
    assert len(workers) == 2
    workers[1].kill()
    done = command.end(500)
    assert done.code == 0 and done.counters["actor_deaths"] == 1, done.stderr
    told = numbers(tmp_path / "hurt")
    assert told == numbers(tmp_path / "calm")
    assert "labels_only" not in {student["name"] for student in told["students"]}
    assert done.left_behind() == {}
