"""SIGINT and SIGTERM in every phase: an end within 10 s, the line that resumes, nothing left, and the rest later (F39).

The last command finishes what all the stopped ones have begun.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.end_to_end.drive import ROWS, UNIT_ROWS, Command, Done, Project

pytestmark = pytest.mark.ray


def _stopped(command: Command, number: int, *, twice: bool = False) -> Done:
    command.signal(number)
    start = time.monotonic()
    if twice:
        time.sleep(0.3)
        command.signal(number)
    done = command.end()
    assert time.monotonic() - start <= (3 if twice else 10.5)
    assert done.code == 128 + number
    assert "the same command goes on: raydistill run" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.left_behind() == {}
    return done


def test_a_run_that_is_stopped_in_every_phase_ends_all_the_same(tmp_path: Path) -> None:
    project = Project(tmp_path / "stopped")
    project.slow(0.5)
    command = project.start("run", "run")
    command.wait_for(lambda event: event["event"] == "UnitDone", 2)
    _stopped(command, signal.SIGINT)
    project.slow(None)
    command = project.start("run", "run")
    command.wait_stage("search", then_s=0.3)
    told = _stopped(command, signal.SIGTERM)
    assert told.json["status"] == "stopped" if told.stdout else True
    command = project.start("run", "run")
    command.wait_stage("train", then_s=1.0)
    _stopped(command, signal.SIGINT, twice=True)
    done = project.run("run", "run")
    assert done.code == 0, done.stderr
    again = done.counters["rows_labelled"] - 2 * ROWS
    assert 0 <= again <= 2 * 2 * UNIT_ROWS  # two units in flight for each of two teachers
    assert all(event["reused"] for event in done.of("TrialDone")[: done.counters["trials"] - 1])


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["prepare", "label", "search", "train", "report", "export"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_both_signals_at_the_start_of_each_stage(tmp_path: Path, stage: str, number: int) -> None:
    project = Project(tmp_path / "stopped")
    command = project.start("run", "run")
    command.wait_stage(stage)
    command.signal(number)
    done = command.end(15)
    assert done.code in (128 + number, 0) and (done.code or stage == "export")
    assert done.left_behind() == {}
    assert project.run("run", "run").code == 0
