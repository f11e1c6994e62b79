"""A row that kills its teacher: found, set aside and listed; on one CPU, so the pools take turns as well (F2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.drive import ROWS, UNIT_ROWS, Project, report

pytestmark = pytest.mark.ray
ONE_CPU = ("--set", "cluster.num_cpus=1")


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which a run has met a deadly transfer row."""
    project = Project(tmp_path_factory.mktemp("poisoned"))
    project.poison(17)
    done = project.run("run", "run", *ONE_CPU)
    assert done.code == 4, done.stderr
    rows = done.json["error"]["rows"]
    assert [teacher for teacher, _, _ in rows] == ["plain", "turned"] and rows[0][1] == rows[1][1]
    assert "--allow-quarantine" in done.json["error"]["next_step"]
    assert "2 set aside" in done.stage("label")["detail"] and f"{2 * ROWS - 2} labels made" in done.stderr
    assert not any(event["stage"] == "search" for event in done.of("StageStarted"))
    assert done.left_behind() == {}
    return project


def test_all_other_labels_are_there_and_the_run_goes_on_when_allowed(poisoned: Project) -> None:
    done = poisoned.run("run", "run", *ONE_CPU, "--allow-quarantine")
    assert done.code == 0, done.stderr
    counters = done.counters
    assert counters["rows_quarantined"] == 2
    # What an actor had stored, but not told yet, when it died is labelled again.
    assert 2 * ROWS - 2 <= counters["rows_labelled"] <= 2 * ROWS - 2 + UNIT_ROWS * counters["actor_deaths"]
    assert counters["actor_deaths"] == len(list((poisoned.folder / "run" / "journal" / "deaths").glob("*.json")))
    assert "left out for all teachers" in done.stderr
    assert report(poisoned.folder / "run")["counters"]["rows_quarantined"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["renormalise", "drop"])
def test_missing_labels_follow_the_policy(poisoned: Project, policy: str) -> None:
    done = poisoned.run("run", policy, *ONE_CPU, "--allow-quarantine", "--set", f"cache.missing={policy}")
    assert done.code == 0, done.stderr
    assert done.of("ActorReady") == []


@pytest.mark.slow
def test_a_missing_label_of_a_report_row_does_not_stop_the_report(tmp_path: Path) -> None:
    project = Project(tmp_path / "test-row")
    project.poison(ROWS - 1)
    done = project.run("run", "run", "--allow-quarantine")
    assert done.code == 0, done.stderr
    assert done.counters["rows_quarantined"] == 2
