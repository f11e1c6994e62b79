"""Settings and fixtures of every test: the environment before anything heavy is imported, one Ray session for all
tests that need one, and a look at the end whether a process of ours was left behind."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

# Before torch or ray is imported: one thread per process keeps two cores usable for actors; Ray must not phone home.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
os.environ.setdefault("MPLBACKEND", "Agg")

import psutil
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "house", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))

_LEFTOVER_GRACE_S = 30.0


def _descendants() -> dict[tuple[int, float], str]:
    """Children of this process by (pid, create time): the pid alone may be used again."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        try:
            command = " ".join(process.cmdline()[:4])
            if "multiprocessing.resource_tracker" not in command:  # lives as long as its parent, by design
                found[process.pid, process.create_time()] = command
        except psutil.Error:
            continue
    return found


def _alive(pid: int, created: float) -> bool:
    try:
        process = psutil.Process(pid)
        return process.create_time() == created and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@pytest.fixture(scope="session")
def recorded_processes() -> dict[tuple[int, float], str]:
    """Processes that must be gone 30 s after the last test; tests that start any may add them."""
    return {}


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left(recorded_processes: dict[tuple[int, float], str]) -> Iterator[None]:
    """Fails the last test when a recorded process outlives the session."""
    yield
    recorded_processes.update(_descendants())
    until = time.monotonic() + _LEFTOVER_GRACE_S
    left = dict(recorded_processes)
    while left and time.monotonic() < until:
        left = {key: what for key, what in left.items() if _alive(*key)}
        time.sleep(0.1 if left else 0.0)
    assert not left, f"processes left after the session: {left}"


@pytest.fixture(scope="session")
def ray_session(recorded_processes: dict[tuple[int, float], str], no_process_is_left: None) -> Iterator[Any]:
    """A local cluster for all tests marked `ray`, started the way a run starts its own."""
    from orchestrator.cluster.config import ClusterConfig
    from orchestrator.cluster.session import Session

    with Session(ClusterConfig(num_cpus=4, object_store_mb=120), namespace="tests") as session:
        recorded_processes.update(_descendants())
        yield session
        recorded_processes.update(_descendants())
