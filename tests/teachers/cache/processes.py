"""Starts `writer_process.py` and reads what it acknowledged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from teachers.cache.cache import LabelCache
from teachers.cache.config import CacheConfig
from teachers.cache.entry import Entry
from tests.teachers.cache.labels import key_of

_REPOSITORY = Path(__file__).parents[3]


def start(folder: Path, jobs: list[dict[str, Any]], *, together: bool = False) -> list[int]:
    """Runs jobs in real processes; returns their wait statuses (9 = killed by SIGKILL, 0 = done, 256 * n = exit n)."""
    path = folder / "jobs.json"
    path.write_text(json.dumps({"jobs": jobs, "together": together}))
    command = [sys.executable, "-m", "tests.teachers.cache.writer_process", str(path)]
    done = subprocess.run(command, cwd=_REPOSITORY, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0 and not done.stderr, done.stderr
    statuses: list[int] = json.loads(done.stdout)
    return statuses


def acked(notes: Path) -> set[int]:
    """Rows that some process has reported as visible."""
    path = notes / "acked"
    rows: set[int] = set()
    for line in path.read_text().splitlines() if path.exists() else []:
        first, count = map(int, line.split())
        rows |= set(range(first, first + count))
    return rows


def open_entry(root: Path, **options: Any) -> Entry:
    return LabelCache.open(CacheConfig(root=str(root)), Path(), create=False, **options).entry(key_of())
