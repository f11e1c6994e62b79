"""The mean of the best trials is one more trial: on record, never run twice, chosen only when it holds its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.cluster import averaging
from orchestrator.cluster.averaging import try_mean
from orchestrator.cluster.trials import KIND, History, SearchSpec
from orchestrator.cluster.worker import WorkerSpec
from orchestrator.journal import Journal
from pipelines.space import LogUniform, Space

PATH = "train.optimizer.lr"
SPACE = Space({PATH: LogUniform(low=1e-3, high=1.0)}, ["a", "b"])
TEMPLATE = '{"student": {}, "objective": {}, "train": {"optimizer": {"lr": 0.1}}}'


def spec_of(folder: Path) -> SearchSpec:
    worker = WorkerSpec("{}", "{}", str(folder), (), "run", str(folder))
    return SearchSpec(worker, TEMPLATE, "{}", 4, 2, 1, 0, (), str(folder), True)


def record(number: int, lr: float, score: float, status: str = "finished") -> dict[str, Any]:
    return {"key": f"k{number}", "number": number, "params": {PATH: lr}, "score": score, "status": status}


RECORDS = [record(0, 0.01, 0.8), record(1, 0.09, 0.9), record(2, 0.5, 0.1), record(3, 0.9, 0.95, "stopped")]


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the next trials score; a training in its place would only make the test slow."""
    waiting: list[float] = []

    def run(spec: SearchSpec, trial: Any) -> Any:
        yield History([waiting.pop(0)], {}, 0, 0.0, True)

    monkeypatch.setattr(averaging, "run_trial", run)
    return waiting


def test_the_mean_of_the_best_finished_trials_is_tried(tmp_path: Path, scores: list[float]) -> None:
    scores.append(0.85)
    journal = Journal(tmp_path)
    chosen = try_mean(spec_of(tmp_path), SPACE, RECORDS, 2, journal)
    assert chosen is not None and chosen["score"] == 0.85 and chosen["name"] == "mean of the best 2"
    assert chosen["settings"] == {PATH: pytest.approx(0.03)}, "the geometric mean of 0.01 and 0.09"
    assert list(journal.all(KIND)) == [chosen["key"]]
    assert try_mean(spec_of(tmp_path), SPACE, RECORDS, 2, journal) == chosen, "served from the journal"


def test_a_mean_that_scores_below_its_parts_is_not_chosen(tmp_path: Path, scores: list[float]) -> None:
    scores.append(0.79)
    assert try_mean(spec_of(tmp_path), SPACE, RECORDS, 2, Journal(tmp_path)) is None


def test_one_trial_has_no_mean(tmp_path: Path, scores: list[float]) -> None:
    assert try_mean(spec_of(tmp_path), SPACE, RECORDS, 1, Journal(tmp_path)) is None
    assert try_mean(spec_of(tmp_path), SPACE, RECORDS[:1], 5, Journal(tmp_path)) is None
