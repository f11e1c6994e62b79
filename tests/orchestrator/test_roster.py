"""Who is compared with whom: every baseline is there, hears whom it should, and learns from the same labelled rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from foundation.errors import ConfigError
from orchestrator.config.load import load_config
from orchestrator.roster import Baseline, Objective, Student, baselines, equal, roster
from orchestrator.stages.train import configured
from pipelines.config_path import plain_copy, set_path
from pipelines.space import Space

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits"
ONE_TRY = ("compare.tuning={temperatures: [2], label_shares: [0.25]}",)


def tree_of(*sets: str, name: str = "trust.yaml") -> dict[str, Any]:
    return load_config(EXAMPLE / name, sets).config.tree()


def read(tree: dict[str, Any], settings: Any) -> dict[str, Any]:
    changed = plain_copy(tree)
    for path, value in settings.items():
        set_path(changed, path, plain_copy(value))
    return Objective.of(tree).read(changed)


def heard(tree: dict[str, Any], one: Baseline | Student) -> set[str]:
    return {name for name, weight in read(tree, one.settings)["weights"].items() if weight > 0}


def tried(tree: dict[str, Any], **scores: float) -> list[tuple[Baseline, float]]:
    return [(one, scores.get(one.name.replace(":", "_").replace("@", "_at_"), 0.5)) for one in baselines(tree)]


def test_fifteen_mixtures_are_tried_besides_the_students_that_need_no_tuning() -> None:
    tree = tree_of(*ONE_TRY)
    found = {one.name: one for one in baselines(tree)}
    teachers = list(tree["teachers"])
    mean = "uniform@T=2,s=0.25"
    alone = [f"teacher:{name}@T=2,s=0.25" for name in teachers]
    left_out = [f"without:{name}" for name in teachers]
    assert len([mean, *alone, *left_out]) == 15
    assert set(found) == {"uniform", "labels_only", mean, *alone, *left_out}
    assert heard(tree, found["uniform"]) == heard(tree, found[mean]) == set(teachers)
    for name in teachers:
        assert heard(tree, found[f"teacher:{name}@T=2,s=0.25"]) == {name}
        assert heard(tree, found[f"without:{name}"]) == set(teachers) - {name}


def test_names_are_unique_and_every_temperature_and_share_is_tried_for_each() -> None:
    tree = tree_of("compare.tuning={temperatures: [1, 3], label_shares: [0.1, 0.2, 0.4]}")
    found = baselines(tree)
    assert len({one.name for one in found}) == len(found) == 2 + 6 * (1 + 7) + 7
    for group in ("plain_mean_tuned", *(f"teacher:{name}" for name in tree["teachers"])):
        points = [read(tree, one.settings) for one in found if one.group == group]
        told = {(point["temperature"], round(point["label_share"], 6)) for point in points}
        assert told == {(t, s) for t in (1.0, 3.0) for s in (0.1, 0.2, 0.4)}, group


def test_the_plain_mean_is_the_mean_nobody_tuned() -> None:
    """Equal weights that sum to 1, fusion `losses`, T = 1, cross-entropy at the weight of one teacher."""
    tree = tree_of()
    plain = next(one for one in baselines(tree) if one.group == "plain_mean")
    told = read(tree, plain.settings)
    assert told["temperature"] == 1.0
    assert told["weights"] == pytest.approx(dict.fromkeys(tree["teachers"], 1 / 7))
    assert told["label_share"] == pytest.approx(1 / 8)
    assert plain.settings["objective.terms.distill.fusion"] == {"kind": "losses"}


def test_labels_only_hears_no_teacher_and_all_train_on_the_same_rows() -> None:
    """Nobody gets other labelled rows, other epochs or another network than the searched student."""
    tree = tree_of()
    for one in baselines(tree):
        config = configured(tree, Student(one.name, "single", one.settings)).tree()
        labels = config["objective"]["terms"]["labels"]
        assert (labels["rows"], labels["method"]["kind"]) == ("labelled", "cross_entropy"), one.name
        assert labels["share"] > 0
        for section in ("train", "student", "data", "teachers"):
            assert config[section] == tree[section], one.name
        deaf = config["objective"]["terms"]["distill"]["share"] == 0.0
        assert deaf == (one.name == "labels_only")


def test_baselines_hear_teachers_through_one_term_only() -> None:
    """A second term that listens to all teachers would let `teacher:x` hear the others and `labels_only` anybody."""
    tree = tree_of()
    terms = tree["objective"]["terms"]
    terms["more"] = plain_copy(terms["distill"])
    for one in baselines(tree):
        config = configured(tree, Student(one.name, "single", one.settings))
        assert config.objective.terms["more"].share == 0.0, one.name
        assert (config.objective.terms["distill"].share == 0.0) == (one.name == "labels_only")


def test_a_share_of_one_is_refused_before_it_divides_by_zero() -> None:
    with pytest.raises(ConfigError, match="label_shares"):
        tree_of("compare.tuning.label_shares=[1]")


def test_baselines_are_points_of_the_searched_space() -> None:
    """The sampler learns from a baseline only if the space can express it."""
    from orchestrator.cluster.sampler import point_of

    tree = tree_of()
    loaded = load_config(EXAMPLE / "trust.yaml")
    assert loaded.config.search is not None
    space = Space(loaded.config.search.space, list(tree["teachers"]))
    for one in baselines(tree):
        changed = plain_copy(tree)
        for path, value in one.settings.items():
            set_path(changed, path, plain_copy(value))
        known = point_of(space, changed) is not None
        assert known or one.name == "labels_only", one.name


def test_without_labels_there_is_no_cross_entropy_and_no_labels_only() -> None:
    tree = tree_of(*ONE_TRY)
    del tree["objective"]["terms"]["labels"]
    found = baselines(tree)
    assert {one.group for one in found} == {
        "plain_mean",
        "plain_mean_tuned",
        "left_out",
        *(f"teacher:{name}" for name in tree["teachers"]),
    }
    assert all(not any("labels" in path for path in one.settings) for one in found)
    assert all("s=" not in one.name for one in found)
    assert all(read(tree, one.settings)["label_share"] == 0.0 for one in found)


def test_of_two_teachers_none_is_left_out() -> None:
    """Leaving one of two out is the other alone, which is tried anyway."""
    tree = tree_of()
    tree["teachers"] = {name: tree["teachers"][name] for name in list(tree["teachers"])[:2]}
    assert not [one for one in baselines(tree) if one.group == "left_out"]


def test_an_objective_without_teachers_is_refused() -> None:
    tree = tree_of()
    del tree["objective"]["terms"]["distill"]
    with pytest.raises(ConfigError, match="No term of the objective"):
        baselines(tree)


def test_each_group_goes_on_with_its_best_try() -> None:
    tree = tree_of("compare.tuning={temperatures: [1, 2], label_shares: [0.25]}")
    scores = {"teacher_svm_low_at_T=2,s=0.25": 0.9, "uniform_at_T=1,s=0.25": 0.8, "without_svm_low": 0.99}
    students = {one.name: one for one in roster(tree, tried(tree, **scores), ({}, 0.95, "winner"))}
    assert students["teacher:svm_low"].trial == "teacher:svm_low@T=2,s=0.25"
    assert students["teacher:svm_low"].validation_score == 0.9
    assert students["plain_mean_tuned"].trial == "uniform@T=1,s=0.25"
    # Of equal tries the first one stays: the choice may not hang on the order of a dictionary.
    assert students["teacher:trees_high"].trial == "teacher:trees_high@T=1,s=0.25"
    assert not [name for name in students if name.startswith("without")]


def test_the_roster_is_complete() -> None:
    tree = tree_of()
    winner = {"objective.terms.distill.lenses.0.value": 3.0}
    students = roster(tree, tried(tree), (winner, 0.95, "winner"))
    kinds = {one.name: one.kind for one in students}
    assert kinds == {
        "labels_only": "labels_only",
        "plain_mean": "plain_mean",
        "plain_mean_tuned": "plain_mean_tuned",
        **{f"teacher:{name}": "single" for name in tree["teachers"]},
        "searched": "searched",
        "oracle": "oracle",
        "shuffled_teacher": "control",
        "constant_teacher": "control",
    }
    by_name = {one.name: one for one in students}
    assert [one.name for one in students if one.reference] == ["oracle"]
    for name, signals in (("shuffled_teacher", "shuffled"), ("constant_teacher", "constant")):
        control = by_name[name]
        assert (control.settings, control.signals) == (by_name["searched"].settings, signals)
    assert {one.signals for one in students if one.kind != "control"} == {"teachers"}


def test_the_oracle_is_the_plain_mean_without_the_dropped() -> None:
    tree = tree_of()
    dropped = {"office_logreg", "office_svm", "office_trees"}
    students = {one.name: one for one in roster(tree, tried(tree), None)}
    oracle, plain = (read(tree, students[name].settings) for name in ("oracle", "plain_mean"))
    assert {name for name, weight in oracle["weights"].items() if weight > 0} == set(tree["teachers"]) - dropped
    assert (oracle["temperature"], oracle["label_share"]) == (plain["temperature"], plain["label_share"])
    tree["compare"]["oracle"] = None
    assert "oracle" not in {one.name for one in roster(tree, tried(tree), None)}


def test_without_a_search_the_configured_student_takes_its_place() -> None:
    tree = tree_of()
    students = {one.name: one for one in roster(tree, [(baselines(tree)[0], math.nan)], None)}
    assert set(students) == {"plain_mean", "configured", "oracle", "shuffled_teacher", "constant_teacher"}
    assert students["configured"].settings == {} and students["configured"].validation_score is None
    assert students["plain_mean"].validation_score is None


def test_failed_tries_do_not_win() -> None:
    tree = tree_of("compare.tuning={temperatures: [1, 2], label_shares: [0.25]}")
    scores = {"teacher_svm_low_at_T=1,s=0.25": -math.inf}
    students = {one.name: one for one in roster(tree, tried(tree, **scores), None)}
    assert students["teacher:svm_low"].trial == "teacher:svm_low@T=2,s=0.25"


def test_equal_weights_sum_to_one() -> None:
    assert equal(["a", "b", "c", "d"]) == dict.fromkeys("abcd", 0.25)


def test_without_a_temperature_lens_no_temperature_is_tried() -> None:
    """The same student under three names would triple the search and teach nothing."""
    found = [one.name for one in baselines(tree_of("search=null", "objective.terms.distill.lenses=[]"))]
    assert len(set(found)) == len(found) and not any("T=" in name for name in found)
    assert "uniform@s=0.25" in found


def test_what_no_number_can_tell_is_left_out() -> None:
    tree = tree_of("search=null", "objective.terms.distill.lenses=[]", "objective.terms.distill.weighting=entropy")
    told = Objective.of(tree).read(tree)
    assert (told["temperature"], told["weights"], told["weighting"]) == (None, {}, "entropy")
    each = tree_of("search=null", "objective.terms.distill.lenses=[{kind: temperature, value: {svm_low: 2.0}}]")
    assert Objective.of(each).read(each)["temperature"] is None
