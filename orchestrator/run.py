"""The whole story of a run, top to bottom.

    plan -> prepare -> preflight -> label -> search -> train -> evaluate -> controls -> report -> export

Each stage looks at what is committed first and does only what is missing, so the same command again resumes: labels
live in the cache, finished trials in the journal, finished students and predictions in the run folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation.errors import ConfigError
from orchestrator.config.load import LoadedConfig
from orchestrator.observe.observer import Observer
from orchestrator.stages.counters import count
from orchestrator.stages.evaluate import evaluate
from orchestrator.stages.label import label, make_ready, plan
from orchestrator.stages.publish import export, judge_controls, report
from orchestrator.stages.search import search
from orchestrator.stages.train import train
from orchestrator.stages.work import Work, open_work
from orchestrator.stop import StopRequest

VERBS = ("label", "search", "train")


@dataclass(frozen=True)
class RunResult:
    """What a run leaves behind. `report` is None where the run was asked to end earlier."""

    status: str
    run_dir: Path
    report: Path | None
    counters: dict[str, Any]


def run(
    loaded: LoadedConfig,
    *,
    until: str | None = None,
    run_dir: Path | None = None,
    observer: Observer | None = None,
    stop: StopRequest | None = None,
    allow_quarantine: bool = False,
    paranoid: bool = False,
) -> RunResult:
    """Runs all stages, or those up to `until` ('label', 'search' or 'train').

    Raises a `RaydistillError`; whatever was finished before stays, and the same call goes on from there.
    """
    if until is not None and until not in VERBS:
        raise ConfigError("A run can't end there.", expected=", ".join(VERBS), found=until)
    options = {"allow_quarantine": allow_quarantine, "paranoid": paranoid}
    with open_work(loaded, run_dir, observer or Observer(), stop or StopRequest(), **options) as work:
        todo = plan(work)
        work.warm_up(until, any(one.units for one in todo.values()))
        ready = make_ready(work, todo)
        label(work, todo, ready)
        if until == "label":
            return _result(work, "labelled")
        outcome = search(work)
        if until == "search":
            return _result(work, "searched")
        students = train(work, outcome)
        if until == "train":
            return _result(work, "trained")
        evaluate(work, students)
        judge_controls(work, students)
        report(work)
        export(work, students)
        return _result(work, "done", work.folder.paths.report_html)


def _result(work: Work, status: str, report_file: Path | None = None) -> RunResult:
    counters = count(work).model_dump(mode="json")
    return RunResult(status, work.folder.root, report_file, counters)
