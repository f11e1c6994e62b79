"""Two screens with one face: rich bars on a terminal, plain lines (not too many) anywhere else.

Names come from users' files: markup is off and everything unprintable is escaped before it gets here or below.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Protocol

from foundation.words import plain_text
from orchestrator.observe.render import Style, Work

SECONDS_BETWEEN_LINES = 2.0
LINE_LIMIT = 1000  # a damaged shard is named with its name and two digests
_STYLES = {"plain": "", "stage": "bold", "done": "green", "warning": "yellow"}


class Screen(Protocol):
    """Shows lines and bars."""

    def line(self, text: str, style: Style = "plain") -> None: ...

    def work(self, change: Work) -> None: ...

    def close(self) -> None: ...


def screen_for(stream: IO[str]) -> Screen:
    """Returns bars for a terminal, lines for a file or pipe."""
    if stream.isatty():
        return BarScreen()
    return LineScreen(stream)


class SilentScreen:
    """Shows nothing."""

    def line(self, text: str, style: Style = "plain") -> None: ...

    def work(self, change: Work) -> None: ...

    def close(self) -> None: ...


@dataclass
class _Progress:
    total: int | None
    unit: str
    done: int
    before: int
    started: float
    shown: float
    detail: str = ""
    first: tuple[float, int] | None = None

    def move(self, amount: int, now: float) -> None:
        self.done += amount
        if amount and self.first is None:
            self.first = now, self.done

    def rate(self, now: float) -> float | None:
        """Amounts per second since the first one came: all before that was start-up. None until there is another one;
        where the first was the last, too, all the time counts."""
        since, before = self.first or (self.started, self.before)
        if self.done == before:
            if self.done != self.total:
                return None
            since, before = self.started, self.before
        return (self.done - before) / max(now - since, 1e-9)

    def text(self, name: str, now: float) -> str:
        """`name 120/400 rows, 60.0 rows/s, 5 s left`."""
        rate = self.rate(now)
        of = f"/{self.total}" if self.total is not None else ""
        parts = [f"{name} {self.done}{of} {self.unit}", *([f"{rate:.1f} {self.unit}/s"] if rate else [])]
        if self.total is not None and rate and self.done < self.total:
            parts.append(f"{(self.total - self.done) / rate:.0f} s left")
        return ", ".join([*parts, *([self.detail] if self.detail else [])])


class LineScreen:
    """Plain lines; per piece of work at most one every `SECONDS_BETWEEN_LINES`, and always the last."""

    def __init__(self, stream: IO[str] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._clock = clock
        self._works: dict[str, _Progress] = {}

    def line(self, text: str, style: Style = "plain") -> None:
        mark = "warning: " if style == "warning" else ""
        print(mark + plain_text(text, LINE_LIMIT), file=self._stream, flush=True)

    def work(self, change: Work) -> None:
        now = self._clock()
        state = self._works.get(change.name)
        if change.ended and state is None:
            return
        if change.total is not None or state is None:
            state = _Progress(change.total, change.unit, change.done, change.done, now, now)
            self._works[change.name] = state
        state.move(change.amount, now)
        state.detail = change.detail or state.detail
        finished = change.ended or (change.amount > 0 and state.done == state.total)
        if finished or now - state.shown >= SECONDS_BETWEEN_LINES:
            state.shown = now
            if not (change.ended and state.done == state.total):  # its last line was shown when it got there
                self.line("  " + state.text(change.name, now))
        if change.ended:
            del self._works[change.name]

    def close(self) -> None:
        self._works.clear()


class BarScreen:
    """rich bars on stderr, one per piece of work, with rate and time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(stderr=True, markup=False, highlight=False, emoji=False)
        self._progress = Progress(
            TextColumn("  {task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[detail]}", markup=False),
            console=self._console,
            transient=False,
        )
        self._tasks: dict[str, tuple[int, _Progress]] = {}
        self._live = False

    def line(self, text: str, style: Style = "plain") -> None:
        self._console.print(plain_text(text, LINE_LIMIT), style=_STYLES[style] or None, soft_wrap=True)

    def work(self, change: Work) -> None:
        now = time.monotonic()
        if change.ended and change.name not in self._tasks:
            return
        if not self._live:
            self._progress.start()
            self._live = True
        if change.total is not None or change.name not in self._tasks:
            self._open(change, now)
        task, state = self._tasks[change.name]
        state.move(change.amount, now)
        state.detail = plain_text(change.detail) or state.detail
        rate = state.rate(now)
        shown = f"{rate:.1f} {state.unit}/s" if rate else ""
        self._progress.update(task, completed=state.done, rate=shown, detail=state.detail)  # type: ignore[arg-type]
        if change.ended:
            del self._tasks[change.name]
            if not self._tasks:
                self._stop()

    def close(self) -> None:
        self._stop()
        self._tasks.clear()

    def _open(self, change: Work, now: float) -> None:
        task = self._progress.add_task(
            plain_text(change.name),
            total=change.total,
            completed=change.done,
            rate="",
            detail=plain_text(change.detail),
        )
        state = _Progress(change.total, plain_text(change.unit), change.done, change.done, now, now)
        self._tasks[change.name] = (task, state)

    def _stop(self) -> None:
        if not self._live:
            return
        self._progress.stop()
        for task in list(self._progress.task_ids):
            self._progress.remove_task(task)
        self._live = False
