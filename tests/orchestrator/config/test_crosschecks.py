"""Names that must exist elsewhere: what a stranger gets wrong is told by the check, before labels are paid for."""

from __future__ import annotations

from pathlib import Path

import pytest

from foundation.errors import ConfigError
from orchestrator.config.load import load_config
from tests.orchestrator.example import write


def told(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return str(caught.value)


def test_functions_and_modules_have_to_be_given(tmp_path: Path) -> None:
    function = (
        "backend: {kind: sklearn, estimator: KNeighborsClassifier, gives: probabilities}",
        "backend: {kind: function, function: rule_of_mine}",
    )
    fit = ("    fit: {rows: private, label: label}\n    pool", "    pool")
    student = ("student: {kind: mlp, hidden: [32]}", "student: {kind: torch_module, module: net_of_mine}")
    text = told(write(tmp_path, function, fit, student))
    assert "teachers.neighbours.backend.function: expected the name of a function plug-in, found rule_of_mine" in text
    assert "student.module: expected the name of a module plug-in, found net_of_mine" in text
    assert text.count("--plugin FILE") == 2


def test_groups_of_a_score_are_a_side_column(tmp_path: Path) -> None:
    score = (
        "{metric: accuracy, rows: labelled, nll_weight: 0.1}",
        "{metric: worst_group, rows: labelled, group: klinik}",
    )
    assert "search.score.group: expected a column of data.side, found klinik" in told(write(tmp_path, score))
    side = ("  label: label ", "  side: [clinic]\n  label: label ")
    assert "did you mean 'clinic'?" in told(write(tmp_path, score, side))


def test_a_rule_of_a_section_is_told_as_a_sentence(tmp_path: Path) -> None:
    """Not as `expected scikit-learn has no ..., found a mapping`."""
    text = told(write(tmp_path, ("ExtraTreesClassifier", "ExtraTressClassifier")))
    (line,) = (line for line in text.splitlines() if "teachers.forest" in line)
    assert line.endswith(
        "backend: scikit-learn has no classifier 'ExtraTressClassifier'; did you mean 'ExtraTreesClassifier'?"
    )
