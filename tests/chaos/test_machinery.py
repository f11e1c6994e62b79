"""The judges can say no: each invariant complains about a folder that breaks it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil

from tests.chaos import invariants
from tests.chaos.follow import EventTail, alive
from tests.chaos.invariants import Snapshot
from tests.chaos.rounds import Tally, Watch
from tests.chaos.run import enough, rows


def test_a_lost_row_and_a_changed_record_are_noticed() -> None:
    before = Snapshot({"e" * 64: frozenset({"a", "b"})}, {"journal/trials/1.json": "x"})
    assert invariants.lost(before, before) == []
    assert len(invariants.lost(before, Snapshot({"e" * 64: frozenset({"a"})}, before.records))) == 1
    assert len(invariants.lost(before, Snapshot({}, before.records))) == 1
    assert len(invariants.lost(before, Snapshot(before.rows, {"journal/trials/1.json": "y"}))) == 1
    assert len(invariants.lost(before, Snapshot(before.rows, {}))) == 1


def test_more_is_not_a_loss() -> None:
    before = Snapshot({}, {})
    assert invariants.lost(before, Snapshot({"e": frozenset({"a"})}, {"r": "x"})) == []


def test_events_are_read_once_and_half_lines_wait(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "tiny-0"
    run.mkdir(parents=True)
    (run / "events.jsonl").write_text('{"event": "Old"}\n')
    tail = EventTail(tmp_path)
    with (run / "events.jsonl").open("a") as file:
        file.write('{"event": "A"}\n{"event"')
        file.flush()
        assert [event["event"] for event in tail.read()] == ["A"]
        file.write(': "B"}\n')
        file.flush()
        assert [event["event"] for event in tail.read()] == ["B"]


def test_a_torn_line_of_a_killed_driver_is_passed_over(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "tiny-0"
    run.mkdir(parents=True)
    tail = EventTail(tmp_path)
    (run / "events.jsonl").write_text('{"event": "A"}\n{"ev{"event": "B"}\n' + json.dumps({"event": "C"}) + "\n")
    assert [event["event"] for event in tail.read()] == ["A", "C"]


def test_a_process_is_known_by_pid_and_birth() -> None:
    me = psutil.Process(os.getpid())
    assert alive({(me.pid, me.create_time()): "me"})
    assert not alive({(me.pid, me.create_time() - 100): "me"})
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    born = psutil.Process(child.pid).create_time()
    child.wait(timeout=60)
    assert not alive({(child.pid, born): "child"})


def test_counts_and_gates() -> None:
    tally = Tally(Counter(label=20, search=20, train=5, export=5), actor_kills=150)
    assert enough(tally, 150, 50, 5)
    assert not enough(tally, 151, 50, 5)
    assert not enough(tally, 150, 51, 5)
    assert not enough(tally, 150, 50, 6)
    assert all(row.ok for row in rows(tally, 0, 10.0))
    assert not all(row.ok for row in rows(tally, 1, 10.0))
    tally.violations.append("I1")
    assert not all(row.ok for row in rows(tally, 0, 10.0))


def test_a_process_that_outlives_its_time_is_reported() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    processes = {(child.pid, psutil.Process(child.pid).create_time()): "sleeper"}
    try:
        assert Watch(processes, seconds=0.3).result() == processes
        patient = Watch(processes, seconds=60)
    finally:
        child.kill()
        child.wait(timeout=60)
    assert patient.result() == {}
