"""The plan is pure: it counts what is new, explains misses and touches nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from orchestrator.config.load import load_config
from orchestrator.plan import data_identity, make_plan, plan_of, wanted_positions
from pipelines.data.dataset import open_dataset
from teachers.build import card_of, context_for
from teachers.cache.cache import LabelCache
from teachers.cache.entry import entry_key
from tests.orchestrator.example import write


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_an_empty_cache_means_all_rows_are_new(tmp_path: Path) -> None:
    loaded = load_config(write(tmp_path))
    before = files(tmp_path)
    plan = plan_of(loaded)
    assert files(tmp_path) == before
    forest, neighbours = plan.teachers
    dataset = open_dataset(loaded.config.data, tmp_path)
    wanted = wanted_positions(loaded.config, dataset)
    assert forest.rows_new + forest.rows_duplicate == len(wanted) and forest.rows_reused == 0
    assert forest.units == -(-forest.rows_new // 256) and forest.actors == 1 and neighbours.actors == 2
    assert forest.bytes_new == forest.rows_new * (16 + 4 + 10 * 2)
    assert neighbours.bytes_new == neighbours.rows_new * (16 + 4 + 5 * 2)
    assert not forest.differences
    assert plan.fingerprint == loaded.identity(data=data_identity(dataset))
    assert plan.rows_new == plan.to_json()["rows_new"] == 2 * forest.rows_new
    assert [stage.stage for stage in plan.stages][:4] == ["plan", "prepare", "preflight", "label"]
    assert "fit forest, neighbours" in plan.text()


def test_committed_rows_are_reused_and_a_miss_names_what_differs(tmp_path: Path) -> None:
    path = write(tmp_path)
    loaded = load_config(path)
    dataset = open_dataset(loaded.config.data, tmp_path)
    cache = LabelCache.open(loaded.config.cache, tmp_path)
    config = loaded.config.teachers["forest"]
    key = entry_key(
        card_of("forest", config, context_for("forest", config, loaded.config.data.classes, tmp_path, dataset)),
        loaded.config.cache.codec,
    )
    entry = cache.entry(key)
    unit = plan_of(loaded).teachers[0].work[0]
    logits_BC = np.random.default_rng(0).normal(size=(len(unit.keys), 10)).astype(np.float32)
    entry.publish([entry.write(unit, logits_BC, unit.keys)])

    forest, neighbours = make_plan(loaded, dataset, cache).teachers
    assert (forest.rows_reused, forest.differences) == (256, ())
    assert neighbours.rows_reused == 0 and neighbours.nearest == key.id
    assert neighbours.differences and not neighbours.changes()  # a new teacher, not a changed one
    other = plan_of(load_config(path, ["teachers.forest.backend.options={n_estimators: 7}"]))
    miss = other.teachers[0]
    assert miss.rows_reused == 0 and miss.nearest == key.id
    assert any("n_estimators" in part for part, _, _ in miss.differences)
    assert "n_estimators" in other.text() and "not reused" in other.text()


def test_the_plan_says_when_the_search_never_samples(tmp_path: Path) -> None:
    few, many = (plan_of(load_config(write(tmp_path), [f"search.trials={count}"])).text() for count in (3, 60))
    first = int(few.split("search ")[1].split(" trials (")[0])
    assert first > 3 and f"{first} trials ({first} baselines, 0 from the space)" in few
    assert f"give search.trials more than {first}" in few
    assert f"60 trials ({first} baselines, {60 - first} from the space)" in many and "give search" not in many
