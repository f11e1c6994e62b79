"""A session starts, quietly and safely, in the background too; it leaves environment and folder as they were."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from orchestrator.cluster.config import ClusterConfig
from orchestrator.cluster.guard import is_alive
from orchestrator.cluster.session import Session

pytestmark = pytest.mark.ray


def test_the_private_cluster_is_token_guarded_and_knows_its_processes(ray_session: Session) -> None:
    assert ray_session.temp_dir is not None
    token = ray_session.temp_dir / "token"
    assert token.stat().st_mode & 0o077 == 0
    assert os.environ["RAY_AUTH_MODE"] in ("token", "disabled")  # explicit, whichever the test run chose
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert ray_session.capacity()["CPU"] == 2
    processes = ray_session.processes()
    assert len(processes) >= 5
    assert all(is_alive(member) for member in processes)
    assert os.getpid() not in dict(processes)


def fresh(code: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a process of its own, because a process has one connection to Ray."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, cwd=os.getcwd())


def test_an_address_that_does_not_answer_is_a_plain_error() -> None:
    code = """
from foundation.errors import ClusterError
from orchestrator.cluster.config import ClusterConfig
from orchestrator.cluster.session import Session
try:
    with Session(ClusterConfig(address="127.0.0.1:1"), namespace="x"):
        print("connected")
except ClusterError as error:
    print(error.exit_code, error)
"""
    done = fresh(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("6 ") and "can't be reached" in done.stdout and "127.0.0.1:1" in done.stdout


def test_a_session_nobody_needs_starts_nothing() -> None:
    before = dict(os.environ)
    session = Session(ClusterConfig(num_cpus=1), namespace="x")
    assert session.processes() == [] and session.temp_dir is None
    session.stop()
    assert dict(os.environ) == before


def test_start_in_the_background() -> None:
    code = """
import os
os.environ.pop("RAY_AUTH_MODE", None)
before = dict(os.environ)
from orchestrator.cluster.config import ClusterConfig
from orchestrator.cluster.session import Session
session = Session(ClusterConfig(num_cpus=1, object_store_mb=100), namespace="x", wait=False)
with session:
    assert session.start_seconds == 0.0, "the driver has to go on at once, while Ray is still starting"
    assert os.environ["RAY_AUTH_MODE"] == "token"
    session.ready()
    assert session.start_seconds > 0.0
    import ray
    @ray.remote
    def where(): import foundation; return foundation.__file__
    import foundation
    assert ray.get(where.remote(), timeout=60) == foundation.__file__
    processes, folder = session.processes(), session.temp_dir
from orchestrator.cluster.guard import is_alive
assert not any(map(is_alive, processes)) and not folder.exists()
assert dict(os.environ) == before
print("fine")
"""
    done = fresh(code)
    assert done.stdout.strip() == "fine", done.stderr
    assert done.stderr == ""
