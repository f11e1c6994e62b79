"""A session starts, quietly and safely, in the background too; it leaves environment and folder as they were."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from foundation.errors import ClusterError
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


def test_an_address_that_does_not_answer_is_a_plain_error() -> None:
    import ray

    if ray.is_initialized():
        pytest.skip("the shared cluster is up in this process")
    with pytest.raises(ClusterError, match="can't be reached"):
        with Session(ClusterConfig(address="127.0.0.1:1"), namespace="x"):
            pass


def test_start_in_the_background(tmp_path: Path) -> None:
    """In a process of its own, because a process has one connection to Ray."""
    import subprocess
    import sys

    code = """
import os, time
os.environ.pop("RAY_AUTH_MODE", None)
before = dict(os.environ)
from orchestrator.cluster.config import ClusterConfig
from orchestrator.cluster.session import Session
started = time.monotonic()
session = Session(ClusterConfig(num_cpus=1, object_store_mb=100), namespace="x", wait=False)
with session:
    assert time.monotonic() - started < 1.0, "the driver has to go on at once"
    assert os.environ["RAY_AUTH_MODE"] == "token"
    session.ready()
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
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=90, cwd=os.getcwd())
    assert done.stdout.strip() == "fine", done.stderr
    assert done.stderr == ""
    assert time.monotonic() - started < 60
