"""First signal: asked to stop, ended within the grace. Second: at once. Handlers survive a library that takes them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from foundation.errors import StoppedError
from orchestrator.stop import StopRequest

# `stolen`: a library (Ray, on start) installed its own handlers. `deaf`: the loop never asks. `busy`: the main thread
# waits in C code that goes on waiting after a signal, so no Python handler runs.
PROGRAM = """
import ctypes, os, signal, sys, time
from orchestrator.stop import StopRequest
mode, grace = sys.argv[1], float(sys.argv[2])
with StopRequest("raydistill run x.yaml", grace_s=grace) as stop:
    if mode == "stolen":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(99))
        signal.signal(signal.SIGINT, signal.default_int_handler)
    stop.requested()
    print("ready", flush=True)
    if mode == "busy":
        libc = ctypes.CDLL(None)
        signals = (ctypes.c_ulong * 16)()
        libc.sigemptyset(signals)
        libc.sigaddset(signals, signal.SIGUSR1)
        libc.sigwait(signals, ctypes.byref(ctypes.c_int()))
    while mode == "deaf":
        time.sleep(0.05)
    while not stop.wait(5):
        pass
    print("polled", stop.signal_number, flush=True)
"""


def start(mode: str, grace: float = 30.0) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, mode, str(grace)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("mode", ["polling", "stolen"])
def test_the_first_signal_is_seen_by_the_loop(mode: str, number: int) -> None:
    process = start(mode)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert out == f"polled {number}\n" and process.returncode == 0
    assert "stopping" in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("mode", ["deaf", "busy"])
def test_who_does_not_stop_is_ended_after_the_grace(mode: str, number: int, code: int) -> None:
    process = start(mode, grace=0.3)
    begun = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == code and 0.3 <= time.monotonic() - begun < 10
    assert "raydistill run x.yaml" in err


def test_the_second_signal_ends_at_once() -> None:
    process = start("deaf", grace=60)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == 130


def test_the_handlers_are_given_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    threads = threading.active_count()
    with StopRequest() as stop:
        assert signal.getsignal(signal.SIGINT) != before[0] and not stop.requested()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    time.sleep(0.1)
    assert threading.active_count() <= threads


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 2), (signal.SIGTERM, 15)])
def test_a_stopped_run_raises_with_the_line_that_resumes(number: int, code: int) -> None:
    ended: list[int] = []
    with StopRequest("raydistill run x.yaml", end=ended.append) as stop:
        os.kill(os.getpid(), number)
        with pytest.raises(StoppedError) as caught:
            for _ in range(100):
                stop.raise_if_requested()
                time.sleep(0.01)
        assert caught.value.signal_number == code and "raydistill run x.yaml" in str(caught.value)
    assert not ended


def test_a_thread_may_use_it_without_owning_signals() -> None:
    seen: list[bool] = []

    def work() -> None:
        with StopRequest() as stop:
            stop.ask()
            seen.append(stop.requested())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True]
