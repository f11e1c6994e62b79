"""No orphans: whatever happens to the driver, its processes are gone soon after."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from orchestrator.cluster import guard

_DRIVER = """
import sys, time, ray
from orchestrator.cluster.config import ClusterConfig
from orchestrator.cluster.session import Session
with Session(ClusterConfig(num_cpus=1, object_store_mb=100), namespace="t") as session:
    @ray.remote(num_cpus=0)
    class Idle:
        def pid(self):
            import os
            return os.getpid()
    actors = [Idle.options(lifetime="detached", name="d").remote(), Idle.remote()]
    print(session.temp_dir, *ray.get([a.pid.remote() for a in actors], timeout=60), flush=True)
    time.sleep(600)
"""


def _wait_until(condition, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return bool(condition())


@pytest.mark.ray
@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_no_process_of_the_set_survives_the_driver(number: int) -> None:
    driver = subprocess.Popen([sys.executable, "-c", _DRIVER], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    temp_dir, *pids = driver.stdout.readline().split()
    record = Path(temp_dir) / "processes.json"
    wanted = set(map(int, pids))
    assert _wait_until(lambda: record.exists() and wanted <= dict(json.loads(record.read_text())).keys(), 10)
    members = [(pid, born) for pid, born in json.loads(record.read_text())]
    assert len(members) >= 6
    driver.send_signal(number)
    driver.wait(timeout=30)
    assert _wait_until(lambda: not any(guard.is_alive(member) for member in members), 30)
    assert _wait_until(lambda: not Path(temp_dir).exists(), 10)


def test_the_guard_ends_a_child_that_ignores_everything(tmp_path: Path) -> None:
    """The guard's own work, without Ray: a stubborn daemon, its child, and a bystander that only reads a log."""
    temp_dir = tmp_path / "rd-session"
    temp_dir.mkdir()
    stubborn = "import signal, subprocess, sys, time; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; "
    child = stubborn + "time.sleep(600)"
    daemon = stubborn + f"print(subprocess.Popen([sys.executable, '-c', {child!r}]).pid, flush=True); time.sleep(600)"
    driver = f"""
import os, subprocess, sys, time
d = subprocess.Popen([sys.executable, "-c", {daemon!r}, {str(temp_dir)!r}])
g = subprocess.Popen([sys.executable, {guard.__file__!r}, str(os.getpid()), {str(temp_dir)!r},
                      {str(temp_dir / "processes.json")!r}, "0.1", "0.3"], stdin=subprocess.PIPE)
print(d.pid, flush=True)
time.sleep(600)
"""
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", str(temp_dir)])
    process = subprocess.Popen([sys.executable, "-c", driver], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        pids = [int(process.stdout.readline()), int(process.stdout.readline())]
        members = [(pid, psutil.Process(pid).create_time()) for pid in pids]
        time.sleep(0.5)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert _wait_until(lambda: not any(guard.is_alive(member) for member in members), 10)
        assert _wait_until(lambda: not temp_dir.exists(), 5)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_pid_that_was_given_to_somebody_else_is_left_alone() -> None:
    me = psutil.Process()
    assert guard.is_alive((me.pid, me.create_time()))
    assert not guard.is_alive((me.pid, me.create_time() - 1))
