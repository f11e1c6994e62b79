"""The driver is stopped in the middle of labelling, search and training: it ends fast, nothing stays, work is kept.

The parts by themselves; `tests/end_to_end/test_stop.py` and `tests/chaos` show the same with the whole command.
"""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.cluster import guard
from orchestrator.cluster.labelling import label
from orchestrator.cluster.session import Session
from orchestrator.journal import Journal

from .project import PLAIN, Project, make_project
from .test_trainer import make_job
from .test_tuner import config_of, enqueued, tree_of

pytestmark = [pytest.mark.ray, pytest.mark.slow]

_START = """
import json, pickle, sys, time
from pathlib import Path
from foundation import registry
from orchestrator.cluster.config import ClusterConfig
from orchestrator.cluster.session import Session
from orchestrator.journal import Journal
run_dir = Path(sys.argv[1])
guests, rest = pickle.loads((run_dir / "arguments").read_bytes())
registry.install(guests)
journal = Journal(run_dir)
session = Session(ClusterConfig(num_cpus=2, object_store_mb=100), namespace="t")
with session:
    print(session.temp_dir, flush=True)
"""
_LABEL = """
    from orchestrator.cluster.labelling import label
    tasks, spec = pickle.loads(rest)
    for event in label(session, tasks, spec, journal=journal):
        pass
"""
_SEARCH = """
    from orchestrator.cluster.tuner import search, Enqueued
    from orchestrator.config.sections import SearchConfig
    spec, config, tree = pickle.loads(rest)
    search(session, SearchConfig.model_validate_json(config), tree, [], spec, journal=journal, run_dir=run_dir)
"""
_TRAIN = """
    from orchestrator.cluster.trainer import train_roster
    from orchestrator.cluster.jobs import unpack_job
    spec, job = pickle.loads(rest)
    for event in train_roster(session, [unpack_job(job)], spec, run_dir=run_dir, fingerprint="a" * 64,
                              checkpoint_least_s=0.0):
        pass
"""


def _stopped(
    run_dir: Path, project: Project, code: str, rest: object, underway: Callable[[], bool], number: int
) -> float:
    """Starts a driver, waits until it is underway, signals it; returns the seconds until it has ended."""
    (run_dir / "arguments").write_bytes(pickle.dumps((project.spec.guests, pickle.dumps(rest))))
    driver = subprocess.Popen(
        [sys.executable, "-c", _START + code, str(run_dir)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None and driver.stderr is not None
    temp_dir = driver.stdout.readline().strip()
    deadline = time.monotonic() + 90
    while not underway() and time.monotonic() < deadline:
        assert driver.poll() is None, driver.stderr.read()
        time.sleep(0.02)
    processes = guard.ProcessSet(temp_dir, driver.pid)
    processes.scan()
    assert len(processes.alive()) >= 6
    started = time.monotonic()
    driver.send_signal(number)
    driver.wait(timeout=30)
    seconds = time.monotonic() - started
    assert driver.returncode != 0
    while processes.alive() and time.monotonic() < started + 30:
        time.sleep(0.1)
    assert not processes.alive()
    return seconds


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_labelling_goes_on_after_its_driver_was_stopped(ray_session: Session, tmp_path: Path, number: int) -> None:
    """Whatever an actor had stored is adopted; every row is labelled once."""
    slow = PLAIN.replace("SCALE", "1.0").replace("    x = ", "    import time; time.sleep(0.02)\n    x = ")
    name = f"stopped_{number}"
    project = make_project(tmp_path, {name: slow}, rows=400)
    [task] = project.tasks()
    underway = lambda: task.entry.committed().rows >= 20  # noqa: E731
    seconds = _stopped(tmp_path, project, _LABEL, (project.tasks(), project.spec), underway, number)
    assert seconds < 10
    acknowledged = {receipt.unit for receipt in task.entry.receipts()}
    assert 4 <= len(acknowledged) < 80
    task.entry.publish(task.entry.recover())
    again = project.tasks()
    assert not {unit.id for unit in again[0].units} & acknowledged, "a stored unit isn't labelled again"
    list(label(ray_session, again, project.spec, journal=project.journal))
    _, present = project.labels(name)
    assert present.all()
    assert sum(receipt.rows for receipt in task.entry.receipts()) == 400


def test_a_search_is_stopped_by_ctrl_c(ray_session: Session, tmp_path: Path) -> None:
    project = make_project(tmp_path, {"stop_search": PLAIN.replace("SCALE", "1.0")}, labelled=range(0, 60, 2))
    list(label(ray_session, project.tasks(), project.spec, journal=project.journal))
    config = config_of(500, epochs=60, halving=None)
    rest = (project.spec, config.model_dump_json(), tree_of(project))
    journal = Journal(tmp_path)
    assert enqueued(project)
    seconds = _stopped(tmp_path, project, _SEARCH, rest, lambda: len(journal.keys("trials")) >= 2, signal.SIGINT)
    assert seconds < 10
    assert len(journal.all("trials")) < 500


def test_training_is_stopped_by_ctrl_c(ray_session: Session, tmp_path: Path) -> None:
    from orchestrator.cluster.jobs import pack_job

    project = make_project(tmp_path, {"stop_train": PLAIN.replace("SCALE", "1.0")}, labelled=range(0, 60, 2))
    list(label(ray_session, project.tasks(), project.spec, journal=project.journal))
    rest = (project.spec, pack_job(make_job("long", epochs=100_000, checkpoint_every=20)))
    underway = lambda: bool(list(tmp_path.glob("train/train-*/checkpoint_*/checkpoint.json")))  # noqa: E731
    assert _stopped(tmp_path, project, _TRAIN, rest, underway, signal.SIGINT) < 10
