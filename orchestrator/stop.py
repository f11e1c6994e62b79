"""Ctrl-C and SIGTERM: the first asks the run to stop where nothing is lost, the second ends the process at once.

The handler itself only notes the signal. A thread that reads the signal number from a pipe, which the interpreter's
C code fills, does the rest; so the deadline holds even while the main thread is deep inside a library that releases
the interpreter (waits for Ray, torch operators). When the run hasn't ended by itself within `grace_s`, the process is
ended: everything acknowledged is on disk by then.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType

from foundation.errors import StoppedError

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE_S = 9.0  # the promise is 10 s from the signal to the end of the process


class StopRequest:
    """Asked by loops between two pieces of work. A context manager that owns the signals while it is open.

    Args:
        resume: the line that resumes the run, printed when the process has to end at once; may be set later.
        grace_s: seconds between the first signal and the end of the process.
        end: ends the process; replaced in tests.
    """

    def __init__(self, resume: str = "", *, grace_s: float = GRACE_S, end: Callable[[int], None] = os._exit) -> None:
        self.resume = resume
        self.grace_s = grace_s
        self._end = end
        self._asked = threading.Event()
        self._number: int | None = None
        self._before: dict[int, object] = {}
        self._pipe: tuple[int, int] | None = None
        self._wakeup_before = -1
        self._finished = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def signal_number(self) -> int | None:
        """The first signal, or None."""
        return self._number

    def requested(self) -> bool:
        """True after the first signal. Also takes the signals back from a library that installed its own handlers."""
        self.rearm()
        return self._asked.is_set()

    def ask(self, number: int = signal.SIGINT) -> None:
        """Asks to stop, as a signal would."""
        if self._number is None:
            self._number = number
        self._asked.set()

    def wait(self, seconds: float) -> bool:
        """Sleeps, but not past a request; returns whether there is one."""
        self.rearm()
        return self._asked.wait(seconds)

    def raise_if_requested(self) -> None:
        """Raises `StoppedError` after a request."""
        if self.requested():
            raise self.error()

    def error(self) -> StoppedError:
        """The error that ends a stopped run; its exit code follows the signal."""
        number = self._number or signal.SIGINT
        step = f"the same command goes on: {self.resume}" if self.resume else "the same command goes on"
        return StoppedError("The run was stopped; finished work is kept.", signal_number=int(number), next_step=step)

    def rearm(self) -> None:
        """Puts our handlers back where a library (Ray, on start) replaced them; only possible in the main thread.

        Without a look first: Python doesn't know of a handler that C code has installed.
        """
        if self._pipe is None or threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            signal.signal(number, self._note)
        previous = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        if previous not in (-1, self._pipe[1]):
            self._wakeup_before = previous

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is not threading.main_thread():
            return self  # signals can't be owned here; `ask` and `requested` work all the same
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
        read, write = os.pipe()
        os.set_blocking(write, False)
        self._pipe = (read, write)
        for number in SIGNALS:
            signal.signal(number, self._note)
        self._wakeup_before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        self._watcher = threading.Thread(target=self._watch, args=(read,), name="stop-watch", daemon=True)
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pipe is None:
            return
        self._finished.set()
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        os.close(self._pipe[1])  # the watching thread reads the end, and closes the other side
        self._pipe = None
        if self._watcher is not None:
            self._watcher.join(1.0)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.ask(number)

    def _watch(self, read: int) -> None:
        signals = 0
        while data := os.read(read, 16):
            for number in data:
                if number not in SIGNALS:
                    continue
                signals += 1
                if signals == 1:
                    self.ask(number)
                    self._say("stopping: the open unit is finished or dropped (once more ends at once)")
                    threading.Thread(target=self._deadline, args=(number,), name="stop-deadline", daemon=True).start()
                else:
                    self._leave(number)
        os.close(read)

    def _deadline(self, number: int) -> None:
        if not self._finished.wait(self.grace_s):
            self._leave(number)

    def _leave(self, number: int) -> None:
        if self.resume:
            self._say(f"stopped; the same command goes on: {self.resume}")
        self._end(128 + (self._number or number))

    @staticmethod
    def _say(text: str) -> None:
        # Not through `sys.stderr`: the main thread may hold its lock.
        stamp = time.strftime("%H:%M:%S")
        try:
            os.write(2, f"{stamp} {text}\n".encode())
        except OSError:
            sys.exc_info()
