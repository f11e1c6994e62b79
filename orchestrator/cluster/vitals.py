"""Is the cluster still there? Ray itself waits a minute for a lost control service and then ends the driver's process.

A private cluster's control service and node daemon are children of the driver; of somebody else's cluster it is seen
whether the control service still takes connections.
"""

from __future__ import annotations

import os
import socket
import time

import psutil

from foundation.errors import ClusterLostError

_DAEMONS = ("gcs_server", "raylet")
_KNOCK_EVERY_S = 5.0
_KNOCK_TIMEOUT_S = 3.0


class Vitals:
    """Made when Ray is connected; `check` is cheap enough for every turn of a loop.

    Args:
        address: host and port of the control service of somebody else's cluster; None for a private one.
    """

    def __init__(self, address: str | None = None) -> None:
        self._address = address
        self._knocked = time.monotonic()
        self._daemons: list[psutil.Process] = []
        if address is None:
            children = psutil.Process(os.getpid()).children()
            self._daemons = [child for child in children if _name(child) in _DAEMONS]

    def check(self) -> None:
        """Raises `ClusterLostError` when the cluster has gone."""
        for daemon in self._daemons:
            if not _runs(daemon):
                raise lost("a process of the private cluster has ended", f"process {daemon.pid}")
        if self._address is not None and time.monotonic() - self._knocked >= _KNOCK_EVERY_S:
            self._knocked = time.monotonic()
            host, _, port = self._address.rpartition(":")
            try:
                socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_TIMEOUT_S).close()
            except OSError as error:
                raise lost(error.strerror or type(error).__name__, self._address) from error


def lost(found: str, where: str | None = None) -> ClusterLostError:
    """Returns the error of a run whose cluster has gone."""
    step = "run the same command again: finished work is kept"
    return ClusterLostError("The cluster went away in the middle of the run.", found=found, where=where, next_step=step)


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""
