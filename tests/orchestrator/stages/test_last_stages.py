"""train -> evaluate -> controls -> report -> export over students that are trained already, and the whole run again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from foundation.errors import ConfigError
from orchestrator.config.load import LoadedConfig
from orchestrator.observe.observer import Observer
from orchestrator.observe.screen import SilentScreen
from orchestrator.report.predictions import read_predictions
from orchestrator.roster import Student
from orchestrator.run import run
from orchestrator.stages.evaluate import evaluate
from orchestrator.stages.publish import export, judge_controls, report
from orchestrator.stages.search import Outcome, search
from orchestrator.stages.train import Trained, configured, describe, train
from orchestrator.stages.work import Work

from .small import ROWS, TEACHERS, TEST, events_of, label_here, make, opened, record_trials, train_students

NAMES = (
    "labels_only",
    "plain_mean",
    "plain_mean_tuned",
    *(f"teacher:{name}" for name in TEACHERS),
    "searched",
    "shuffled_teacher",
    "constant_teacher",
)


class Finished:
    """A run whose labels, trials and students are there; nothing after that was done yet."""

    def __init__(self, folder: Path) -> None:
        self.loaded: LoadedConfig = make(folder)
        self.run_dir = folder / "run"
        with opened(self.loaded, self.run_dir) as work:
            label_here(work)
            record_trials(work, {"uniform": 0.7, f"teacher:{TEACHERS[0]}@T=2,s=0.2": 0.9})
            self.outcome: Outcome = search(work)
            train_students(work, self.outcome)


@pytest.fixture
def finished(tmp_path: Path) -> Finished:
    return Finished(tmp_path)


@pytest.fixture
def work(finished: Finished) -> Iterator[Work]:
    with opened(finished.loaded, finished.run_dir) as found:
        yield found


def test_every_student_and_seed_is_there_and_none_is_trained_again(work: Work, finished: Finished) -> None:
    trained = train(work, finished.outcome)
    assert sorted((one.name, one.seed) for one in trained) == sorted((name, seed) for name in NAMES for seed in (0, 1))
    done = [event for event in events_of(finished.run_dir) if event["event"] == "StudentDone"]
    assert len(done) == len(trained) and all(event["reused"] for event in done)
    searched = next(one for one in trained if (one.name, one.seed) == ("searched", 1))
    stored = searched.store.load("searched", 1)
    assert all(torch.equal(value, stored[name]) for name, value in searched.module().state_dict().items())


def test_a_students_settings_leave_the_run_as_it_is(work: Work) -> None:
    tree = work.config.tree()
    before = json.dumps(tree, sort_keys=True)
    changed = configured(tree, Student("x", "single", {"objective.terms.distill.share": 0.25}))
    assert changed.objective.terms["distill"].share == 0.25
    assert json.dumps(tree, sort_keys=True) == before


def test_the_roster_is_described_as_it_was_trained(work: Work, finished: Finished) -> None:
    told = {one.name: one for one in describe(work, train(work, finished.outcome))}
    assert tuple(sorted(told)) == tuple(sorted(NAMES))
    assert (told["labels_only"].teachers, told["labels_only"].temperature) == ((), None)
    assert told["labels_only"].label_share == 1.0
    assert told["teacher:far"].teachers == ("far",)
    assert told["plain_mean"].weights == {"near": 0.5, "far": 0.5} and told["plain_mean"].temperature == 1.0
    assert told["searched"].teachers == ("near",) and told["searched"].validation_score == 0.9
    assert all(one.parameters == 2 * 6 + 6 + 6 * 3 + 3 and one.bytes > 0 for one in told.values())


def test_predictions_are_each_students_own_answers_on_each_test_row_once(work: Work, finished: Finished) -> None:
    trained = train(work, finished.outcome)
    evaluate(work, trained)
    inputs = torch.from_numpy(work.dataset.inputs["x"][ROWS - TEST : -1])
    for one in trained:
        found = read_predictions(work.folder.root, "students", one.name, one.seed)
        assert len(found) == TEST - 1, "two rows of equal content are one row"
        with torch.no_grad():
            torch.testing.assert_close(torch.tensor(found.logits_NC), one.module()(inputs).float())
        assert np.array_equal(found.labels_N, work.dataset.labels_N[ROWS - TEST : -1])
    for name in TEACHERS:
        found = read_predictions(work.folder.root, "teachers", name)
        told_NC, _ = work.entries[name].reader().gather(found.keys)
        assert len(found) == TEST - 1 and np.array_equal(found.logits_NC, told_NC)


def finish(work: Work, trained: list[Trained]) -> None:
    evaluate(work, trained)
    judge_controls(work, trained)
    report(work)
    export(work, trained)


def test_a_finished_run_needs_no_cluster_and_no_teacher(finished: Finished) -> None:
    """The same command again: nothing is labelled, searched or trained, and the report says the same."""
    with opened(finished.loaded, finished.run_dir) as work:
        finish(work, train(work, finished.outcome))
    report_file = finished.run_dir / "report.json"
    before = json.loads(report_file.read_text())
    with Observer(screen=SilentScreen()) as observer:
        result = run(finished.loaded, run_dir=finished.run_dir, observer=observer)
    assert (result.status, result.run_dir) == ("done", finished.run_dir)
    assert result.report == finished.run_dir / "report.html" and result.report.exists()
    after = json.loads(report_file.read_text())
    for part in ("students", "comparisons", "controls", "teachers", "counters"):
        assert _untimed(before[part]) == _untimed(after[part]), part
    assert {path.name for path in (finished.run_dir / "export").iterdir()} >= {"student.safetensors", "student.json"}
    assert before["counters"]["teacher_loads"] == result.counters["teacher_loads"] == len(TEACHERS)
    assert result.counters["rows_labelled"] == len(TEACHERS) * (ROWS - 1)


def test_a_run_ends_where_it_is_asked_to(finished: Finished) -> None:
    """`train` has a mark and all before it is done: each shorter run ends there, with its own word for it."""
    with opened(finished.loaded, finished.run_dir) as work:
        train(work, finished.outcome)
    for until, status in (("label", "labelled"), ("search", "searched"), ("train", "trained")):
        with Observer(screen=SilentScreen()) as observer:
            result = run(finished.loaded, until=until, run_dir=finished.run_dir, observer=observer)
        assert (result.status, result.report) == (status, None)
        started = [event["stage"] for event in events_of(finished.run_dir) if event["event"] == "StageStarted"]
        assert started[-1] == until
    assert not (finished.run_dir / "report.json").exists()


def test_a_run_can_end_nowhere_else(finished: Finished) -> None:
    with pytest.raises(ConfigError, match="can't end there"):
        run(finished.loaded, until="evaluate", run_dir=finished.run_dir)


def _untimed(value: object) -> object:
    if isinstance(value, dict):
        return {key: _untimed(one) for key, one in value.items() if "second" not in key and "latency" not in key}
    return [_untimed(one) for one in value] if isinstance(value, list) else value
