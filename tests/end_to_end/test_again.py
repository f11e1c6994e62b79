"""A second run over the same cache pays no teacher; what a finished run says of itself is true."""

from __future__ import annotations

import json

import pytest

from teachers.cache.cache import LabelCache
from teachers.cache.config import CacheConfig
from tests.end_to_end.drive import ROWS, Done, Project, numbers, report, verb

pytestmark = pytest.mark.ray
Finished = tuple[Project, Done]


@pytest.fixture(scope="module")
def again(finished: Finished) -> Done:
    """Another search over the same cache, in another run folder, on one CPU."""
    done = finished[0].run("run", "again", "--set", "search.seed=1", "--set", "cluster.num_cpus=1")
    assert done.code == 0, done.stderr
    return done


def test_the_first_run_asks_each_teacher_for_each_row_once(finished: Finished) -> None:
    project, done = finished
    assert done.counters["rows_labelled"] == 2 * ROWS
    assert done.counters["teacher_loads"] == 4  # one to prepare and one actor, for each of two teachers
    assert len(done.of("ActorReady")) == 2
    assert done.left_behind() == {}
    cache = LabelCache.open(CacheConfig(), project.folder, create=False)
    assert [len(entry.committed().keys) for entry in cache.entries()] == [ROWS, ROWS]


def test_another_run_asks_no_teacher(finished: Finished, again: Done) -> None:
    counters = again.counters
    assert (counters["teacher_loads"], counters["rows_labelled"], counters["rows_reused"]) == (0, 0, 2 * ROWS)
    assert again.of("ActorReady") == []
    assert again.stage("label")["seconds"] <= 2
    assert again.left_behind() == {}
    first, second = (report(finished[0].folder / name)["search"] for name in ("first", "again"))
    assert [trial["trial"] for trial in first["history"]] != [trial["trial"] for trial in second["history"]]


def test_without_rows_to_label_there_is_no_cluster(finished: Finished, again: Done) -> None:
    done = finished[0].run("label", "labels-only")
    assert (done.code, done.counters["rows_reused"]) == (0, 2 * ROWS)
    assert done.processes == {}


def test_every_number_is_derived_again_counters_too(finished: Finished, again: Done) -> None:
    for name in ("first", "again"):
        done = verb("report", finished[0].folder / name, "--recompute")
        assert done.returncode == 0, done.stderr
    told = finished[0].folder / "first" / "report.json"
    before = told.read_text()
    try:
        changed = json.loads(before)
        changed["counters"]["rows_labelled"] += 1
        told.write_text(json.dumps(changed))
        done = verb("report", finished[0].folder / "first", "--recompute")
        assert done.returncode == 5 and "counters.rows_labelled" in done.stderr
    finally:
        told.write_text(before)


def test_two_runs_are_compared_in_a_table(finished: Finished, again: Done) -> None:
    done = verb("report", finished[0].folder / "first", finished[0].folder / "again", "--json")
    assert done.returncode == 0, done.stderr
    assert [row["folder"] for row in json.loads(done.stdout)["runs"]] == ["first", "again"]


def test_status_logs_and_cache_tell_the_same(finished: Finished, again: Done) -> None:
    folder = finished[0].folder
    status = json.loads(verb("status", folder / "first", "--json").stdout)
    assert (status["alive"], status["stage"], status["counts"]["loads"]) == (False, None, 4)
    lines = [json.loads(line) for line in verb("logs", folder / "first", "--json").stdout.splitlines()]
    assert lines == finished[1].events
    listed = json.loads(verb("cache", "ls", folder / "cache", "--json").stdout)
    assert [entry["rows"] for entry in listed["entries"]] == [ROWS, ROWS]
    shown = json.loads(verb("cache", "show", folder / "cache", listed["entries"][0]["id"][:8], "--json").stdout)
    assert shown["rows"] == ROWS and shown["key"]["teacher"]


def test_rates_count_from_the_first_row_and_libraries_are_silent(finished: Finished) -> None:
    _, done = finished
    assert "torchvision" not in done.stderr and "raylet" not in done.stderr + done.stdout
    (line,) = (line for line in done.stderr.splitlines() if line.startswith(f"  plain {ROWS}/{ROWS} rows"))
    rate = float(line.rpartition(", ")[2].split()[0])
    assert rate > ROWS / done.stage("label")["seconds"]


def test_the_same_command_again_does_nothing_twice(finished: Finished) -> None:
    project, done = finished
    before = numbers(project.folder / "first")
    repeated = project.run("run", "first")
    assert (repeated.code, repeated.counters) == (0, done.counters)
    assert repeated.of("ActorReady") == [] and repeated.processes == {}
    assert numbers(project.folder / "first") == before
