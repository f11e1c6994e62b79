"""search: temperatures, weights, shares, judged by students trained on cached labels and held-out labelled rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from foundation.errors import TeacherError
from orchestrator.cluster.trials import in_order
from orchestrator.config.sections import SearchConfig
from orchestrator.journal import Record
from orchestrator.observe.events import Note, WorkEnded, WorkPlanned
from orchestrator.report.inputs import SearchRecord, TrialRecord, write_input, write_trials
from orchestrator.roster import Baseline, Objective, baselines
from orchestrator.stages.work import Work
from pipelines.config_path import with_settings

BAR = "trials"


@dataclass(frozen=True)
class Outcome:
    """What the search found out.

    Attributes:
        tried: the enqueued baselines with their scores on held-out rows.
        winner: settings, score and trial of the best one; None in a run without search.
    """

    tried: list[tuple[Baseline, float]]
    winner: tuple[Mapping[str, Any], float, str] | None


def search(work: Work) -> Outcome:
    """Runs the trials that have no record yet and returns the outcome of all of them."""
    config = work.config.search
    tree = work.config.tree()
    if config is None:
        return Outcome([(one, math.nan) for one in baselines(tree) if one.group == "plain_mean"], None)
    from orchestrator.cluster.tuner import Enqueued
    from orchestrator.cluster.tuner import search as search_on_cluster

    first = {one.name: one for one in baselines(tree)}
    with work.stage("search") as facts:
        work.emit(WorkPlanned(BAR, max(config.trials, len(first)), "trials"))
        outcome = search_on_cluster(
            work.session,
            config,
            tree,
            [Enqueued(name, one.settings, one.anchor) for name, one in first.items()],
            work.worker_spec,
            journal=work.journal,
            run_dir=work.folder.root,
            on_event=lambda event: work.follow(event, BAR),
        )
        work.emit(WorkEnded(BAR))
        averaged = _try_mean(work, config, tree, outcome.trials)
        records = in_order(work.journal.all("trials"))
        winner = averaged or _best(records)
        write_trials(work.folder.root, [_told(tree, record) for record in records])
        write_input(work.folder.root, _summary(work, records, winner))
        facts["detail"] = f"{len(records)} trials, best score {winner['score']:.4f}"
    work.emit(Note(_sentence(tree, winner)))
    tried = [(first[record["name"]], _score(record)) for record in records if record["name"] in first]
    return Outcome(tried, (winner["settings"], _score(winner), winner["name"] or winner["key"]))


def _try_mean(work: Work, config: SearchConfig, tree: dict[str, Any], trials: Sequence[Record]) -> Record | None:
    from orchestrator.cluster.averaging import try_mean
    from orchestrator.cluster.trials import template_of
    from orchestrator.cluster.tuner import search_spec
    from pipelines.space import Space

    spec = search_spec(config, template_of(tree), work.worker_spec, work.folder.root)
    return try_mean(spec, Space(config.space, list(tree["teachers"])), trials, config.average, work.journal)


def _best(records: list[Record]) -> Record:
    done = [record for record in records if record["status"] == "finished" and record["name"] != "labels_only"]
    if not done:
        reasons = sorted({str(record.get("error", record["status"])) for record in records})
        raise TeacherError("No trial of the search came to an end.", found="; ".join(reasons)[:300])
    return max(done, key=lambda record: (_score(record), -record["number"]))


def _score(record: Record) -> float:
    return -math.inf if record["score"] is None else float(record["score"])


def _told(tree: Mapping[str, Any], record: Record) -> TrialRecord:
    told = Objective.of(tree).read(with_settings(tree, record["settings"]))
    return TrialRecord(
        key=record["key"],
        name=record["name"] or None,
        params=record["params"] or {},
        temperature=told["temperature"],
        weights=told["weights"],
        label_share=told["label_share"],
        score=record["score"],
        metrics=record["metrics"],
        epochs=record["epochs"],
        status="done" if record["status"] == "finished" else record["status"],
    )


def _summary(work: Work, records: list[Record], winner: Record) -> SearchRecord:
    from pipelines.space import Space

    config = work.config.search
    assert config is not None
    names = tuple(one.name for one in Space(config.space, tuple(work.config.teachers)).scalars)
    budget: dict[str, float | int | str | None] = {
        "trials": config.trials,
        "epochs": config.epochs,
        "folds": config.folds,
        "repeats": config.repeats,
        "seed": config.seed,
    }
    return SearchRecord(
        trials=len(records),
        dimensions=names,
        budget=budget,
        metric=config.score.metric,
        rows=config.score.rows,
        chosen=winner["key"],
    )


def _sentence(tree: Mapping[str, Any], winner: Record) -> str:
    told = Objective.of(tree).read(with_settings(tree, winner["settings"]))
    weights = ", ".join(f"{name} {weight:.2f}" for name, weight in told["weights"].items())
    facts = [f"weights {weights}" if weights else f"weighting {told['weighting']}"]
    if told["temperature"] is not None:
        facts.insert(0, f"temperature {told['temperature']:.3g}")
    return f"best trial {winner['name'] or winner['key'][:8]}: {', '.join(facts)}"
