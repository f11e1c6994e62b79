"""One run's connection to Ray: a private cluster on this machine, or a running one when an address is configured.

A private cluster lives in its own short temporary folder (Unix sockets limit its length), has a token of its own, sends
no usage data, and is watched by a guard process, so that nothing of it survives the driver. `ray stop` is never
called: it would end every cluster of the machine. The session knows nothing of labelling, training or searching.

Security: Ray's control ports listen on all interfaces even for a local cluster (seen with 2.60), and whoever reaches
them runs code. A private cluster therefore runs in token mode, with a fresh token in a file that only this user can
read; `RAY_AUTH_MODE` is set explicitly because Ray's default differs between versions and start paths. A value that
the user has set stays.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from foundation import registry
from foundation.errors import ClusterError, ClusterLostError
from foundation.shadow import check_no_rival_in
from orchestrator.cluster import guard
from orchestrator.cluster.config import ClusterConfig
from orchestrator.cluster.vitals import Vitals

_ROOT = str(Path(__file__).resolve().parents[2])
_START_TIMEOUT_S = 120.0
_KNOCK_TIMEOUT_S = 10.0
_PULSE_S = 0.2
FIT_THREADS = ("ray-train", "ray-tune")  # `fit` of Train and Tune can't be stopped
# Ray would otherwise report usage, write loggers nobody reads, or complain about the dashboard that isn't there.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_THRESHOLD_S": "30",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # our journal is what a search resumes from
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "1",
}


class Session:
    """Context manager around one connection to Ray.

    Args:
        config: the `cluster` section.
        namespace: Ray namespace, one per run, so that two runs on one cluster don't see each other's names.
        wait: False starts a private cluster in the background; call `ready()` before using Ray.
        interrupt: asked in every turn of every loop that uses the session; raises to end it.

    Instead of entering it, `start()` it, or just call `ready()` when Ray is needed, and `stop()` it in the end.

    Raises `ClusterError` when Ray can't be started or reached, `PluginError` when a folder of the user's would hide one
    of our packages from the workers.
    """

    def __init__(
        self,
        config: ClusterConfig | None = None,
        *,
        namespace: str = "raydistill",
        wait: bool = True,
        interrupt: Callable[[], None] = lambda: None,
    ) -> None:
        self.config = config or ClusterConfig()
        self.namespace = namespace
        self.guests = registry.guests()
        self.start_seconds = 0.0
        self.temp_dir: Path | None = None
        self.lost = False
        self._silent = False
        self._wait = wait
        self._interrupt = interrupt
        self._vitals: Vitals | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._up = threading.Event()
        self._down = threading.Event()
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._environment: dict[str, str | None] = {}

    def __enter__(self) -> Session:
        self.start()
        if self._wait:
            try:
                self.ready()
            except BaseException:
                self.stop()
                raise
        return self

    def start(self) -> None:
        """Starts Ray in the background, unless that was done before."""
        if self._thread is not None:
            return
        # Ray puts the driver's working folder and the folder of its script first on the import path of its workers.
        check_no_rival_in([Path.cwd(), Path(sys.argv[0]).resolve().parent])
        self._set_environment(_QUIET)
        self._set_environment({"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": str(self.config.health_check_s)}, force=True)
        if self.config.address is None:
            self._prepare_private()
        # The kernel ties Ray's daemons to the *thread* that started them (PR_SET_PDEATHSIG): it stays until the end.
        self._thread = threading.Thread(target=self._hold, name="ray-session", daemon=True)
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def ready(self, timeout_s: float = _START_TIMEOUT_S) -> Session:
        """Waits until Ray can be used, started by now at the latest. Raises `ClusterError` if it couldn't be."""
        self.start()
        deadline = time.monotonic() + timeout_s
        while not self._up.wait(_PULSE_S) and time.monotonic() < deadline:
            self._interrupt()
        if not self._up.is_set():
            raise ClusterError("Ray did not start in time.", expected=f"within {timeout_s:.0f} s", where=self._where())
        if self._failure is not None:
            raise ClusterError(
                "Ray could not be started." if self.config.address is None else "The Ray cluster can't be reached.",
                found=f"{type(self._failure).__name__}: {self._failure}".splitlines()[0][:300],
                where=self._where(),
                next_step="see `ray status` there" if self.config.address else "free memory or lower cluster.num_cpus",
            ) from self._failure
        return self

    def pulse(self) -> None:
        """For loops: raises what `interrupt` raises, and `ClusterLostError` when the cluster has gone."""
        self._interrupt()
        if self._vitals is not None:
            try:
                self._vitals.check()
            except ClusterLostError:
                self.lost = True
                raise

    def stop(self) -> None:
        """Disconnects; ends a private cluster with everything in it. Safe to call twice."""
        if self._thread is not None and not self._down.is_set():
            # Ray would wait a minute to say goodbye to a cluster that has gone, and crash under threads of Train or
            # Tune that still works. Then the guard ends the private cluster: its daemons are seen and killed before the
            # thread goes that they are tied to. (A start has to come to its end: killed under Ray, it would end this
            # process with a 1.)
            busy = any(thread.name in FIT_THREADS for thread in threading.enumerate())
            self._silent = self.lost or busy
            if self._silent:
                self._dismiss_guard()
            self._down.set()
            self._thread.join(timeout=0 if self._silent else 30)
        self._dismiss_guard()
        for name, value in self._environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._environment = {}

    def _dismiss_guard(self) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._guard.wait(timeout=30)
            self._guard = None

    def capacity(self) -> dict[str, float]:
        """Returns the cluster's total resources by name, over all living nodes."""
        total: dict[str, float] = {}
        for node in self.nodes():
            for name, amount in node["resources"].items():
                total[name] = total.get(name, 0.0) + amount
        return total

    def nodes(self) -> list[dict[str, Any]]:
        """Returns the living nodes as {name, resources}."""
        import ray

        self.ready()
        return [
            {"name": node["NodeManagerHostname"], "resources": dict(node["Resources"])}
            for node in ray.nodes()  # type: ignore[no-untyped-call]
            if node["Alive"]
        ]

    def processes(self) -> list[guard.Member]:
        """Returns (pid, creation time) of every process of a private cluster, as of now."""
        if self.temp_dir is None:
            return []
        found = guard.ProcessSet(str(self.temp_dir), os.getpid())
        found.scan()
        return found.alive()

    def _where(self) -> str:
        return self.config.address or f"private cluster in {self.temp_dir}"

    def _prepare_private(self) -> None:
        root = tempfile.gettempdir()
        self.temp_dir = Path(tempfile.mkdtemp(prefix=guard.TEMP_PREFIX, dir=root if len(root) < 30 else "/tmp"))
        temp = str(self.temp_dir)
        token = self.temp_dir / "token"
        descriptor = os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
        self._set_environment({"RAY_AUTH_MODE": "token"})
        self._set_environment({"RAY_AUTH_TOKEN_PATH": str(token)}, force=True)
        self._set_environment({"RAY_ADDRESS": None, "RAY_AUTH_TOKEN": None}, force=True)
        paths = [_ROOT, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        self._set_environment({"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}, force=True)
        self._guard = subprocess.Popen(
            [sys.executable, guard.__file__, str(os.getpid()), temp, f"{temp}/processes.json", "0.5", "3"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # it must not hold a pipe of the driver's open after the driver is gone
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C goes to the driver's process group only
            cwd="/",
        )

    def _set_environment(self, values: dict[str, Any], force: bool = False) -> None:
        for name, value in values.items():
            if not force and name in os.environ:
                continue
            self._environment.setdefault(name, os.environ.get(name))
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def _hold(self) -> None:
        started = time.monotonic()
        try:
            if self.config.address is not None:
                _knock(self.config.address)
            import ray

            logging.getLogger("ray").setLevel(logging.ERROR)
            _read_settings_again()
            _forbid_second_cluster()
            _keep_off_stdout()
            with _handlers_kept():
                ray.init(**self._arguments())
        except BaseException as error:
            self._failure = error
        else:
            private = self.config.address is None
            self._vitals = Vitals(None if private else ray.get_runtime_context().gcs_address)
        self.start_seconds = time.monotonic() - started
        self._up.set()
        if self._failure is None:
            self._down.wait()
            if not self._silent:
                ray.shutdown()

    def _arguments(self) -> dict[str, Any]:
        shared = {"namespace": self.namespace, "log_to_driver": False, "logging_level": "ERROR"}
        if self.config.address is not None:
            return {**shared, "address": self.config.address, "runtime_env": {"env_vars": {"PYTHONPATH": _ROOT}}}
        return {
            **shared,
            "num_cpus": self.config.num_cpus or len(_usable_cpus()),
            "object_store_memory": self.config.object_store_mb * 2**20,
            "include_dashboard": self.config.dashboard,
            "dashboard_host": "127.0.0.1",
            "_temp_dir": str(self.temp_dir),
        }


def _knock(address: str) -> None:
    # Raises OSError where nobody listens; Ray itself would go on trying for more than two minutes.
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_TIMEOUT_S).close()


def _forbid_second_cluster() -> None:
    # `fit` of Train and Tune run in threads that may outlast a stopped session; Ray would start a cluster for them.
    from ray._private import auto_init_hook

    auto_init_hook.enable_auto_connect = False


@contextlib.contextmanager
def _handlers_kept() -> Iterator[None]:
    # Ray's core installs a handler for SIGTERM that aborts the process; Python neither sees that nor lets a thread that
    # isn't the main one change it. 256 bytes hold a `struct sigaction` anywhere.
    libc = ctypes.CDLL(None)
    before = {number: ctypes.create_string_buffer(256) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, action in before.items():
        libc.sigaction(int(number), None, action)
    try:
        yield
    finally:
        for number, action in before.items():
            libc.sigaction(int(number), action, None)


def _keep_off_stdout() -> None:
    # Ray prints a paragraph to stdout for each worker that died, even with `log_to_driver=False`; our own event, with
    # the reason in it, says so in a line, and stdout belongs to the result.
    from ray._private import worker

    told: Any = worker.print_to_stdstream
    if not hasattr(told, "without_raylet"):

        def tell(data: dict[str, Any], ignore_prefix: bool) -> None:
            if data.get("pid") != "raylet":
                told(data, ignore_prefix)

        tell.without_raylet = True  # type: ignore[attr-defined]
        worker.print_to_stdstream = tell


def _read_settings_again() -> None:
    # Ray reads mode and token once per process; it may have been imported, or used with another token, long ago.
    from ray import _raylet as core  # compiled: no types

    settings: Any = core
    settings.Config.initialize("")
    settings.AuthenticationTokenLoader.instance().reset_cache()


def _usable_cpus() -> set[int]:
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return set(affinity(0)) if affinity else set(range(os.cpu_count() or 1))
