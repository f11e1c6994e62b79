"""Events to file and screen: safe names, a bounded number of lines, never a reason to stop."""

from __future__ import annotations

import io
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from foundation.events import Event
from orchestrator.cluster.events import PoolDone, RowQuarantined, UnitDone, UnitRequeued
from orchestrator.observe.events import Note, StageDone, StageStarted, Warned, WorkDone, WorkEnded, WorkPlanned
from orchestrator.observe.observer import Observer
from orchestrator.observe.render import RENDERERS
from orchestrator.observe.screen import BarScreen, LineScreen


@dataclass(frozen=True)
class Unheard(Event):
    value: Any


@dataclass(frozen=True)
class Bare(Event):
    """An event of a known kind without a single field."""


def lines(*events: Event, seconds: float = 0.0) -> list[str]:
    out, now = io.StringIO(), [0.0]

    def clock() -> float:
        now[0] += seconds
        return now[0]

    with Observer(screen=LineScreen(out, clock)) as observer:
        for event in events:
            observer.emit(event)
    return out.getvalue().splitlines()


def test_events_are_appended_one_line_each(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for _ in range(2):
        with Observer(path, screen=LineScreen(io.StringIO())) as observer:
            observer.emit(StageStarted("label"))
            observer.emit(Unheard({"path": Path("x"), "bytes": b"\x01"}))
            assert path.read_text().count("\n") % 2 == 0  # flushed at once
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [event["event"] for event in events] == ["StageStarted", "Unheard"] * 2
    assert all(event["time"] > 0 for event in events)


def test_stages_and_sentences_are_shown() -> None:
    told = lines(StageStarted("plan", "2 teachers"), StageDone("plan", 1.25, "ok"), Note("a"), Warned("b"), Unheard(1))
    assert told == ["plan: 2 teachers", "plan done in 1.2 s: ok", "a", "warning: b"]
    assert lines(StageDone("label", 0.1, reused=True)) == ["label reused"]


def test_plain_lines_are_few_and_the_last_is_always_shown() -> None:
    work = [WorkPlanned("svm", 1000), *(WorkDone("svm", 1) for _ in range(1000)), WorkEnded("svm")]
    told = lines(*work, seconds=0.01)
    assert len(told) <= 7
    assert told[-1].strip().startswith("svm 1000/1000 rows, 100.")
    assert "s left" in told[0] and "s left" not in told[-1]


def test_reused_rows_do_not_count_into_the_rate() -> None:
    (told,) = lines(WorkPlanned("svm", 1000, done=990), WorkDone("svm", 10), seconds=1.0)
    assert "svm 1000/1000 rows, 10.0 rows/s" in told


def test_every_row_of_a_pool_moves_its_teachers_bar_once() -> None:
    told = lines(
        WorkPlanned("svm", 10),
        UnitDone("svm", unit="u", rows=6, quarantined=1, seconds=0.1, attempt=1, batch_size=4),
        UnitRequeued("svm", unit="v", rows=3, deaths=3, parts=2, reason="died"),
        RowQuarantined("svm", row_key="cd", reason="NaN"),
        UnitDone("svm", unit="w", rows=2, quarantined=0, seconds=0.1, attempt=1, batch_size=4),
        RowQuarantined("svm", row_key="ab", reason="kills its teacher"),
        PoolDone("svm"),
        PoolDone("never planned"),
        seconds=1.0,
    )
    assert told[-2].strip().startswith("svm 10/10 rows") and "row ab set aside" in told[-1]
    assert "in 2 parts" in "".join(told) and "never planned" not in "".join(told)


@pytest.mark.parametrize(
    "kind",
    sorted(set(RENDERERS) - {"StageStarted", "StageDone", "Note", "Warned", "WorkPlanned", "WorkDone", "WorkEnded"}),
)
def test_renderers_of_other_floors_events_miss_no_field(kind: str) -> None:
    assert list(RENDERERS[kind](Bare()))


@pytest.mark.parametrize("name", ["[red]x[/red]", "a\x1b[31mb", "two\nlines", "\u202eabc", "nul\0"])
def test_names_cannot_drive_the_terminal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [StageStarted("label", name), WorkPlanned(name, 2), WorkDone(name, 2, name), WorkEnded(name), Warned(name)]
    told = lines(*events)
    assert len(told) == 3 and all(char.isprintable() for line in told for char in line)
    out = io.StringIO()
    screen = BarScreen()
    screen._console.file = out
    with Observer(screen=screen) as observer:
        for event in events:
            observer.emit(event)
    shown = out.getvalue()
    assert not set("\x1b\u202e\0") & set(shown)
    assert "[red]" in shown or not name.startswith("[red]")


def test_a_lost_event_file_never_stops_a_run(tmp_path: Path) -> None:
    out = io.StringIO()
    full = Path("/dev/full")
    with Observer(full if full.exists() else tmp_path / "no" / "folder", screen=LineScreen(out)) as observer:
        for _ in range(3):
            observer.emit(Note("still here"))
        assert observer.dropped == 3
    assert out.getvalue().count("still here") == 3 and out.getvalue().count("warning:") == 1


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with Observer(path, screen=LineScreen(open(os.devnull, "w"))) as observer:
        threads = [
            threading.Thread(target=lambda: [observer.emit(Unheard("x" * 500)) for _ in range(50)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 200
