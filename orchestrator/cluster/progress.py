"""A one-way line from workers to the driver: JSON lines in a file of the run folder.

Ray Train's `report` is a barrier with the controller's polling time as its cost; telling about an epoch needs neither.
A writer that is killed may leave half a line; every writer therefore starts on a fresh line, and the reader skips
what it can't parse.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any


class ProgressWriter:
    """Appends events; `tell_often` drops what comes faster than `least_s`."""

    def __init__(self, path: Path, least_s: float = 0.25) -> None:
        self._path, self._least_s, self._last = path, least_s, 0.0
        self._append("\n")

    def tell(self, event: dict[str, Any]) -> None:
        """Writes an event."""
        self._append(json.dumps(event) + "\n")

    def tell_often(self, event: dict[str, Any]) -> None:
        """Writes an event unless another was written a moment ago."""
        if time.monotonic() - self._last >= self._least_s:
            self._last = time.monotonic()
            self.tell(event)

    def _append(self, text: str) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, text.encode())
        finally:
            os.close(handle)


class ProgressReader:
    """Reads what was appended since the last look."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset, self._rest = path, 0, b""

    def new(self) -> list[dict[str, Any]]:
        """Returns the new events."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        found = []
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                found.append(event)
        return found
