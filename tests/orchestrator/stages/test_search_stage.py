"""What the search makes of its records: who wins, what is told, what the roster goes on with."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from foundation.errors import ClusterError, TeacherError
from orchestrator.report.inputs import SearchRecord
from orchestrator.stages.search import search
from orchestrator.stages.work import Work

from .small import TEACHERS, make, opened, record_trials


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    with opened(make(tmp_path), tmp_path / "run") as found:
        yield found


def test_the_best_finished_trial_wins_and_all_are_told(work: Work) -> None:
    record_trials(work, {"uniform": 0.7, "teacher:near@T=2,s=0.2": 0.9})
    outcome = search(work)
    assert outcome.winner is not None
    settings, score, trial = outcome.winner
    assert (score, trial) == (0.9, "teacher:near@T=2,s=0.2")
    weights = settings["objective.terms.distill.weighting"]["weights"]
    assert weights == {TEACHERS[0]: 1.0, TEACHERS[1]: 0.0}
    assert {one.name: score for one, score in outcome.tried} == {
        "uniform": 0.7,
        "labels_only": 0.5,
        "uniform@T=2,s=0.2": 0.5,
        "teacher:near@T=2,s=0.2": 0.9,
        "teacher:far@T=2,s=0.2": 0.5,
    }
    root = work.folder.root
    trials = [json.loads(line) for line in (root / "trials.jsonl").read_text().splitlines()]
    assert len(trials) == 5 and {one["status"] for one in trials} == {"done"}
    told = next(one for one in trials if one["name"] == "teacher:near@T=2,s=0.2")
    assert (told["temperature"], told["weights"]) == (2.0, {"near": 1.0, "far": 0.0})
    assert told["label_share"] == pytest.approx(0.2)
    [summary] = [json.loads(path.read_text()) for path in root.rglob("*.json") if "chosen" in path.read_text()]
    record = SearchRecord.model_validate(summary)
    assert (record.trials, record.chosen, record.metric) == (5, told["key"], "accuracy")
    assert len(record.dimensions) == 3


def test_labels_only_never_wins(work: Work) -> None:
    """A student that hears nobody is a baseline, not a point of the search over teachers."""
    record_trials(work, {"labels_only": 0.99, "uniform": 0.7})
    outcome = search(work)
    assert outcome.winner is not None and outcome.winner[2] == "uniform"
    assert {one.name: score for one, score in outcome.tried}["labels_only"] == 0.99


def test_of_equal_trials_the_earlier_wins(work: Work) -> None:
    record_trials(work, {})
    outcome = search(work)
    assert outcome.winner is not None and outcome.winner[2] == "uniform"


def test_failed_and_stopped_trials_never_win(work: Work) -> None:
    near, far = (f"teacher:{name}@T=2,s=0.2" for name in TEACHERS)
    record_trials(work, {near: 0.9, far: math.nan}, {near: "stopped"})
    outcome = search(work)
    assert outcome.winner is not None and outcome.winner[2] == "uniform"
    assert {one.name: score for one, score in outcome.tried}[far] == -math.inf


def test_a_search_in_which_only_labels_only_ended_is_an_error(work: Work) -> None:
    record_trials(work, {name: math.nan for name in _names(work) if name != "labels_only"})
    with pytest.raises(TeacherError, match="No trial"):
        search(work)


def test_a_search_in_which_nothing_ended_is_an_error(work: Work) -> None:
    record_trials(work, dict.fromkeys(_names(work), math.nan))
    with pytest.raises(ClusterError, match="No trial"):
        search(work)


def test_without_a_search_only_the_plain_mean_is_compared(tmp_path: Path) -> None:
    with opened(make(tmp_path, search=False), tmp_path / "run") as work:
        outcome = search(work)
        assert [one.name for one, _ in outcome.tried] == ["uniform"] and outcome.winner is None
        assert work.folder.done("search") is None and not (tmp_path / "run" / "trials.jsonl").exists()


def test_a_search_without_temperature_and_fixed_weights_tells_what_there_is(tmp_path: Path) -> None:
    term = "objective.terms.distill"
    space = {"train.epochs": {"kind": "int", "low": 2, "high": 3}}
    sets = [f"{term}.lenses=[]", f"{term}.weighting=entropy", f"search.space={json.dumps(space)}"]
    with opened(make(tmp_path, *sets), tmp_path / "run") as work:
        record_trials(work, {"uniform": 0.9})
        search(work)
    events = (tmp_path / "run" / "events.jsonl").read_text()
    assert "best trial uniform: weights near 0.50, far 0.50" in events


def _names(work: Work) -> list[str]:
    from orchestrator.roster import baselines

    return [one.name for one in baselines(work.config.tree())]
