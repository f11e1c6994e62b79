"""The one listener: every event goes to `events.jsonl` and, where it means something to people, to the screen.

All that is shown goes to stderr, so stdout stays free for `--json`. Losing the event file never stops a run: the user
is told once and the number of lost events is kept in `dropped`.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from foundation.events import Event
from orchestrator.observe.render import Work, render
from orchestrator.observe.screen import Screen, screen_for


class Observer:
    """Takes events from any thread. `with Observer(path) as observer: observer.emit(event)`."""

    def __init__(self, events: Path | None = None, *, screen: Screen | None = None) -> None:
        self.dropped = 0
        self._screen = screen if screen is not None else screen_for(sys.stderr)
        self._lock = threading.Lock()
        self._file: IO[str] | None = None
        if events is not None:
            self.write_to(events)

    def write_to(self, events: Path) -> None:
        """From now on events are appended to this file too (a run folder is known only after its configuration)."""
        try:
            self._file = events.open("a", encoding="utf-8")
        except OSError as error:
            self._lost(error)

    def emit(self, event: Event) -> None:
        """Records and shows an event."""
        with self._lock:
            self._record(event)
            for change in render(event):
                if isinstance(change, Work):
                    self._screen.work(change)
                else:
                    self._screen.line(change.text, change.style)

    def close(self) -> None:
        """Ends the bars and closes the file."""
        with self._lock:
            self._screen.close()
            if self._file is not None:
                self._file.close()
                self._file = None

    def __enter__(self) -> Observer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _record(self, event: Event) -> None:
        if self._file is None:
            self.dropped += self.dropped > 0
            return
        try:
            self._file.write(json.dumps({"time": round(time.time(), 3), **event.to_json()}, default=_plain) + "\n")
            self._file.flush()
        except (OSError, ValueError) as error:
            self._file = None
            self._lost(error)

    def _lost(self, error: Exception) -> None:
        self.dropped += 1
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        self._screen.line(f"Events can't be written any more ({reason}); the run goes on.", "warning")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "tolist"):
        return value.tolist()
    return list(value) if isinstance(value, set | frozenset | tuple) else str(value)
