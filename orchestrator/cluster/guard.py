"""The guard: a tiny process that outlives the driver by a few seconds and leaves nothing of its cluster behind.

It holds the reading end of a pipe whose writing end only the driver has. The pipe closes when the driver stops or dies
in any way, SIGKILL included. Then the guard gives the cluster a short grace to end by itself (Ray's own fate sharing
ends most of it) and kills what is left of the set it has recorded.

The set holds (pid, creation time) pairs, so that a pid which was given to somebody else is never touched. A process
belongs to it when it is a child of the driver whose command line names the session's own temporary folder (all of Ray's
daemons are) or when its parent belongs to it (workers and agents rename themselves, but descend from the raylet). Ray
starts workers at any time, therefore the set is refreshed all the time; each scan looks at new pids only. A driver that
dies while Ray starts can take the raylet along before any scan has seen its agents: those are known by the log files
they write in the session's folder.

Run as a script: standard library and psutil only, because it must start fast and never fail with the rest.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import sys
import time
from pathlib import Path

import psutil

TEMP_PREFIX = "rd-"  # the guard removes a folder only if it is called like this
Member = tuple[int, float]
_LINGER_S = 4.0  # how long orphans are looked for after a driver that was killed
_UNSETTLED_S = 5.0  # a new process that doesn't belong is looked at again until it is this old


class ProcessSet:
    """The recorded (pid, creation time) set of the session that `driver` (a pid) holds."""

    def __init__(self, temp_dir: str, driver: int) -> None:
        self._temp_dir = temp_dir
        self._driver = driver
        self._outsiders = {driver, os.getpid()}
        self._seen: set[int] = set()
        self.members: dict[int, float] = {}

    def scan(self) -> None:
        """Adds processes that are new since the last scan and belong here."""
        pids = set(psutil.pids())
        self._seen &= pids
        for pid in sorted(pids - self._seen - self._outsiders):
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                born = process.create_time()
                if process.ppid() in self.members or self._is_daemon(process) or self._writes_here(process):
                    self.members[pid] = born
                elif time.time() - born < _UNSETTLED_S:
                    continue  # between fork and exec, and before it opens its log, it looks like somebody else
            self._seen.add(pid)

    def look_again(self) -> None:
        """Forgets who was found not to belong: the driver is gone, so other signs count now."""
        self._seen = set(self.members)

    def _is_daemon(self, process: psutil.Process) -> bool:
        if not any(self._temp_dir in word for word in process.cmdline()):
            return False
        return process.ppid() == self._driver or self._is_orphan(process)

    def _writes_here(self, process: psutil.Process) -> bool:
        # Only for orphans: as long as the driver lives descent tells, and looking at everybody's open files is slow.
        if not self._is_orphan(process):
            return False
        files = process.open_files()
        return any(file.path.startswith(f"{self._temp_dir}/") and getattr(file, "mode", "a") != "r" for file in files)

    def _is_orphan(self, process: psutil.Process) -> bool:
        # The guard is a child of the driver, too: whoever got the guard got the driver's other children. Somebody's
        # `tail -f` of a log in our folder has a parent of its own. Until it is waited for, a dead driver is a zombie.
        return not _runs(self._driver) and process.ppid() == os.getppid()

    def alive(self) -> list[Member]:
        """Returns the members that still run (a zombie doesn't)."""
        return [member for member in self.members.items() if is_alive(member)]

    def kill(self) -> None:
        """SIGKILLs every member that still runs, and nothing else."""
        for member in self.alive():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if is_alive(member):
                    os.kill(member[0], signal.SIGKILL)


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def is_alive(member: Member) -> bool:
    """Whether this very process runs: same pid, same creation time, not a zombie."""
    pid, born = member
    try:
        process = psutil.Process(pid)
        return bool(process.create_time() == born and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def watch(
    driver: int, temp_dir: str, record: Path, *, period_s: float, grace_s: float, give_up_s: float = 20.0
) -> None:
    """Follows the session until the pipe on standard input closes, then ends what is left and removes the folder."""
    processes = ProcessSet(temp_dir, driver)
    written: dict[int, float] = {}
    while not _closed(period_s):
        processes.scan()
        if processes.members != written:
            written = dict(processes.members)
            _write(record, written)
    closed = time.monotonic()
    # A driver that stops waits for this process; one that was killed doesn't, and may have left agents just born.
    linger = closed + (0.0 if _runs(driver) else _LINGER_S)
    processes.look_again()
    processes.scan()
    while (processes.alive() or time.monotonic() < linger) and time.monotonic() < closed + grace_s + give_up_s:
        if time.monotonic() > closed + grace_s:
            processes.kill()
        time.sleep(0.1)
        processes.scan()
    _remove(temp_dir, processes, patience=0 if psutil.pid_exists(driver) else 5)


def _remove(temp_dir: str, processes: ProcessSet, patience: int) -> None:
    """Removes the folder; after a driver's death looks again for a while, since a late worker may write a log."""
    if not Path(temp_dir).name.startswith(TEMP_PREFIX):
        return
    shutil.rmtree(temp_dir, ignore_errors=True)
    for _ in range(patience):
        time.sleep(0.5)
        processes.scan()
        processes.kill()
        shutil.rmtree(temp_dir, ignore_errors=True)


def _closed(period_s: float) -> bool:
    ready, _, _ = select.select([sys.stdin], [], [], period_s)
    return bool(ready) and os.read(sys.stdin.fileno(), 4096) == b""


def _write(record: Path, members: dict[int, float]) -> None:
    with contextlib.suppress(OSError):
        temporary = record.with_suffix(".new")
        temporary.write_text(json.dumps(sorted(members.items())))
        temporary.replace(record)


def main() -> None:
    """`guard.py DRIVER_PID TEMP_DIR RECORD PERIOD_S GRACE_S` with the pipe on standard input."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the driver's end ends the guard
    driver, temp_dir, record, period, grace = sys.argv[1:6]
    watch(int(driver), temp_dir, Path(record), period_s=float(period), grace_s=float(grace))


if __name__ == "__main__":
    main()
