"""A process that labels, and dies where it's told to. Started by the fault tests; forks once per job, so that many
deaths cost one interpreter start.

    python writer_process.py JOBS.json        [{"root", "units": [[first, count]], "crash": "", "links": true, ...}]

Each acknowledged unit is appended to ROOT/../acked (or NOTES/acked). Prints the wait status of each job as a JSON list.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from foundation.errors import RaydistillError
from teachers.cache import crash
from teachers.cache.cache import LabelCache
from teachers.cache.config import CacheConfig
from teachers.row_keys import locate
from tests.teachers.cache.labels import key_of, keys_array, write


def main(jobs: list[dict[str, Any]], together: bool) -> list[int]:
    """Runs the jobs one after the other, or all at the same time."""
    pids = []
    statuses = []
    for job in jobs:
        pid = os.fork()
        if pid == 0:
            try:
                os._exit(run(job))
            except BaseException:
                traceback.print_exc()
                os._exit(99)
        pids.append(pid)
        if not together:
            statuses.append(os.waitpid(pid, 0)[1])
    return statuses or [os.waitpid(pid, 0)[1] for pid in pids]


def run(job: dict[str, Any]) -> int:
    """Recovers, then writes and publishes the units that aren't visible, as a driver with one worker would."""
    os.environ[crash.VARIABLE] = job.get("crash", "")
    if not job.get("links", True):
        os.link = _no_links
    if limit := job.get("file_size"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    while time.time() < job.get("start", 0):
        pass
    entry = LabelCache.open(CacheConfig(root=job["root"]), Path()).entry(key_of())
    if job.get("set_aside"):
        for damage in entry.audit(paranoid=True):
            entry.set_aside(damage)
    entry.publish(entry.recover())
    for first, count in job["units"]:
        rows = range(first, first + count)
        if (locate(entry.committed().keys, keys_array(rows)) >= 0).all():
            continue
        try:
            # Answers differ between writers, so a row that is visible twice or mixed would show.
            entry.publish([write(entry, rows, answer=job.get("answer", 0))], run=str(os.getpid()))
        except RaydistillError as error:
            Path(_notes(job), "error").write_text(str(error))
            return error.exit_code
        _acknowledge(_notes(job) / "acked", first, count)
    return 0


def _notes(job: dict[str, Any]) -> Path:
    return Path(job.get("notes", Path(job["root"]).parent))


def _acknowledge(path: Path, first: int, count: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{first} {count}\n".encode())
    os.fsync(fd)
    os.close(fd)


def _no_links(*_: object, **__: object) -> None:
    raise PermissionError(1, "Operation not permitted")


if __name__ == "__main__":
    arguments = json.loads(Path(sys.argv[1]).read_text())
    print(json.dumps(main(arguments["jobs"], arguments["together"])))
