"""From file to checked configuration: places, `--set`, cross-checks, fingerprint."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundation.errors import ConfigError
from orchestrator.config.load import load_config
from tests.orchestrator.example import TEXT, line_of, write

TREE: dict[str, Any] = yaml.safe_load(TEXT)


def problems(source: Any, *sets: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(source, list(sets))
    assert caught.value.problems
    return "\n".join(caught.value.problems)


def test_the_template_is_valid_and_keeps_its_place(tmp_path: Path) -> None:
    loaded = load_config(write(tmp_path))
    assert loaded.config.name == "example" and loaded.base_dir == tmp_path.resolve()
    assert loaded.config.train.optimizer.lr == 0.005
    assert loaded.text == TEXT


def test_a_mapping_is_as_good_as_a_file(tmp_path: Path) -> None:
    loaded = load_config(TREE, base_dir=tmp_path)
    assert loaded.config == load_config(write(tmp_path)).config
    assert load_config(loaded.config.tree()).config == loaded.config


def test_every_problem_has_its_place(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        ("epochs: 40", "epochs: many"),
        ("hidden: [32]", "hiden: [32]"),
        ("unit_rows: 256", "unit_rows: 0"),
        ("seeds: [0, 1, 2]", "seeds: [0, 1, 2.5]"),
        ("score: {metric: accuracy, rows: labelled,", "score: {metric: accuracy, rows: labeled,"),
        ("lr: 5e-3", "lr: .nan"),
        ("estimator: KNeighborsClassifier, gives", "estimator: KNeighborsClassifier, givs"),
        ("rows: transfer\n", "rows: transfer\n      rows: test\n"),
    )
    told = problems(path)
    for needle, key in [
        ("epochs: many", "train.epochs"),
        ("hiden", "student.hiden"),
        ("unit_rows", "cache.unit_rows"),
        ("seeds", "compare.seeds.2"),
        ("score:", "search.score.rows"),
        ("lr: .nan", "train.optimizer.lr"),
        ("givs", "teachers.neighbours.backend.givs"),
        ("rows: test\n", "objective.terms.distill.rows"),
    ]:
        assert f"run.yaml:{line_of(path, needle)}:" in told
        assert f" {key}: " in told
    assert len(told.splitlines()) == 8
    assert "did you mean 'hidden'" in told and "did you mean 'labelled'" in told


@pytest.mark.parametrize(
    ("change", "key", "told"),
    [
        (("rows: [transfer, labelled, test]", "rows: [transfer, tset]"), "label.rows.1", "did you mean 'test'"),
        (("{forest: 0.5,", "{forrest: 0.5,"), "objective.terms.distill.weighting.weights.forrest", "'forest'"),
        (("{forest: 0.5, neighbours: 0.5}", "{forest: 0, neighbours: 0}"), "weighting.weights", "zeros only"),
        (('classes: ["0", "1", "2", "3", "4"]', 'classes: ["0", "11"]'), "teachers.neighbours.classes.1", "'1'"),
        (("fit: {rows: private,", "fit: {rows: transfer,"), "teachers.forest.fit.rows", "not labelled or tested"),
        (("fit: {rows: private,", "fit: {rows: all,"), "teachers.forest.fit.rows", "not labelled or tested"),
        (
            ("lenses.0.value:", "lenses.1.value:"),
            "search.space.objective.terms.distill.lenses.1.value",
            "lenses.0.value",
        ),
        (
            ("distill.weighting.weights:", "distil.weighting.weights:"),
            "search.space",
            "did you mean 'objective.terms.distill",
        ),
        (
            ("objective.terms.labels.share:", "train.epochz:"),
            "search.space.train.epochz",
            "did you mean 'train.epochs'",
        ),
        (("objective.terms.labels.share:", "label.allow_quarantine:"), "search.space", "objective, train or student"),
        ((", labelled: 32}", "}"), "train.batch", "'labelled'"),
        ((", labelled: 32}", ", labelled: 32, private: 3}"), "train.batch.private", "remove it"),
        (("labels: {rows: labelled,", "labels: {rows: test,"), "objective.terms.labels.rows", "compare.test"),
        (("  test: test ", "  test: tests "), "compare.test", "did you mean 'test'"),
        (("seeds: [0, 1, 2]", "oracle: {drop: [tree]}"), "compare.oracle.drop.0", "the name of a teacher"),
    ],
)
def test_cross_checks(tmp_path: Path, change: tuple[str, str], key: str, told: str) -> None:
    found = problems(write(tmp_path, change))
    assert key in found and told in found and "run.yaml:" in found


def test_cross_entropy_needs_labels(tmp_path: Path) -> None:
    found = problems(write(tmp_path, ("  label: label ", "  #"), ("[labelled], labelled: true}", "[labelled]}")))
    assert "objective.terms.labels.method" in found and "needs no labels" in found


def test_set_changes_values(tmp_path: Path) -> None:
    path = write(tmp_path)
    sets = [
        "train.epochs=7",
        "objective.terms.distill.lenses.0.value=4",
        "compare.seeds=[5, 6]",
        "cluster.num_cpus=2",
        "teachers.forest.pool={max: 3}",
        "search=null",
        "train.epochs=8",
    ]
    config = load_config(path, sets).config
    assert (config.train.epochs, config.compare.seeds, config.cluster.num_cpus) == (8, (5, 6), 2)
    assert config.teachers["forest"].pool.max == 3 and config.search is None
    assert config.objective.terms["distill"].lenses[0].model_dump()["value"] == 4


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("train.epoch=3", "did you mean 'epochs'"),
        ("train.epochs", "--set train.epochs=10"),
        ("=3", "--set train.epochs=10"),
        ("train.epochs=[", "--set train.epochs"),
        ("train.epochs=.nan", "a finite number"),
        ("train.epochs.deeper=3", "a mapping or a list"),
        ("objective.terms.distill.lenses.7.value=3", "0 to 0"),
        ("objective.terms.distill.lenses.first.value=3", "number of a list entry"),
        ("trian.epochs=3", "did you mean 'train'"),
        ("train.epochs=CANARY", "--set train.epochs"),
        ("api_key=CANARY", "unknown"),
        ("CANARY", "path=value"),
    ],
)
def test_a_wrong_set_is_told_and_never_shown(tmp_path: Path, text: str, told: str) -> None:
    found = problems(write(tmp_path), text)
    assert told in found and "CANARY" not in found


@pytest.mark.parametrize(
    "change",
    [
        "train.workers=2",
        "train.checkpoint_every=3",
        "teachers.forest.pool={max: 4, num_cpus: 0.5}",
        "cluster.num_cpus=3",
        "cache.root=elsewhere",
        "search.concurrent=1",
        "name=other",
    ],
)
def test_places_and_process_counts_decide_nothing(tmp_path: Path, change: str) -> None:
    path = write(tmp_path)
    assert load_config(path, [change]).identity() == load_config(path).identity()


@pytest.mark.parametrize(
    "change",
    [
        "train.epochs=39",
        "search.seed=1",
        "compare.seeds=[1]",
        "cache.codec.dtype=fp32",
        "objective.terms.labels.share=0.3",
        "teachers.forest.backend.random_state=1",
        "search=null",
        "student.hidden=[33]",
        "label.rows=[transfer, test]",
    ],
)
def test_what_decides_results_changes_the_identity(tmp_path: Path, change: str) -> None:
    path = write(tmp_path)
    assert load_config(path, [change]).identity() != load_config(path).identity()


def test_data_and_guests_are_part_of_the_identity(tmp_path: Path) -> None:
    loaded = load_config(write(tmp_path))
    assert len({loaded.identity(), loaded.identity(data="a"), loaded.identity(data="b")}) == 3


NASTY = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        1e308,
        2**62,
        "",
        "x",
        "\0",
        "\u202e",
        "../..",
        "a" * 300,
        [],
        {},
        [None],
        {"kind": None},
        {"": {}},
        [[[]]],
    ]
)


def paths(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(inner for key, item in items for inner in paths(item, (*path, key)))]


PATHS = [path for path in paths(TREE) if path]


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(PATHS), NASTY, st.booleans()), min_size=1, max_size=4))
def test_a_mutated_configuration_is_valid_or_a_config_error(changes: list[tuple[tuple[Any, ...], Any, bool]]) -> None:
    tree = copy.deepcopy(TREE)
    for path, value, drop in changes:
        here = tree
        try:
            for part in path[:-1]:
                here = here[part]
            if drop:
                del here[path[-1]]
            else:
                here[path[-1]] = copy.deepcopy(value)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    start = time.process_time()
    try:
        load_config(tree)
    except ConfigError as error:
        assert error.problems and all(problem.startswith("config: ") for problem in error.problems)
    assert time.process_time() - start < 1


@settings(max_examples=100)
@given(st.data())
def test_a_mutated_text_is_valid_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    text = TEXT
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(st.text(alphabet=":-[]{}'\"#&*!|\n \tab019.e\0", max_size=6)) + text[end:]
    path = tmp_path_factory.getbasetemp() / "mutated.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        load_config(path)
    except ConfigError as error:
        assert error.problems or error.where


def test_reading_a_configuration_opens_nothing_else(tmp_path: Path) -> None:
    import sys

    changes = [("root: cache", "root: ../../outside"), ("name: digits", "name: ../../etc/passwd")]
    path = write(tmp_path, *changes)
    opened: list[str] = []
    active = True
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if active and event == "open" else None)
    with pytest.raises(ConfigError):
        load_config(path)
    active = False
    assert not [name for name in opened if "outside" in name or "passwd" in name]
