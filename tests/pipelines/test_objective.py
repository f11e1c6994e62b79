"""The only reduction: shares, counts, holes, empty batches, gradients; and what a term may not be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from foundation.errors import ConfigError
from pipelines.objective import Objective, TermSum
from pipelines.objective_config import ObjectiveConfig
from tests.pipelines.toy import CLASSES, KNOWN, objective, source, world

ROWS = {"transfer": torch.arange(30), "labelled": torch.arange(12)}
LABELS = world().labels_N


def student(positions: torch.Tensor, seed: int = 0) -> torch.Tensor:
    table = np.random.RandomState(seed).normal(size=(30, len(CLASSES)))
    return torch.from_numpy(table)[positions].requires_grad_()


def evaluate(made: Objective, positions: dict[str, list[int]], seed: int = 0) -> tuple[Any, dict[str, torch.Tensor]]:
    index = {name: torch.tensor(rows, dtype=torch.int64) for name, rows in positions.items()}
    logits = {name: student(rows, seed) for name, rows in index.items()}
    return made.sums(logits, index, {name: LABELS[rows] for name, rows in index.items()}), logits


def by_hand(row: int, weights: dict[str, float], t: float, seed: int = 0) -> float:
    """sum_k w_k T^2 KL(teacher k || student over S_k)."""
    z = student(torch.tensor([row]), seed)[0].detach()
    total = 0.0
    said = source().logits(torch.tensor([row]))
    for k, name in enumerate(KNOWN):
        inside = said.class_mask_KC[k]
        p = (said.logits_KBC[k, 0][inside].double() / t).log_softmax(0)
        q = (z[inside] / t).log_softmax(0)
        total += weights.get(name, 0.0) * t**2 * float((p.exp() * (p - q)).sum())
    return total


def test_terms_are_sums_and_the_loss_is_their_share_weighted_mean() -> None:
    made = Objective(objective(), ROWS, LABELS, source())
    sums, _ = evaluate(made, {"transfer": [3, 9, 20], "labelled": [1, 2]})
    sums = {name: TermSum(term.total.detach(), term.count) for name, term in sums.items()}
    expected = sum(by_hand(row, dict.fromkeys(KNOWN, 1 / 3), 2.0) for row in (3, 9, 20))
    assert float(sums["distill"].total.detach()) == pytest.approx(expected, rel=1e-5)
    ce = -student(torch.tensor([1, 2])).detach().log_softmax(-1)[[0, 1], LABELS[[1, 2]]].sum()
    assert float(sums["labels"].total.detach()) == pytest.approx(float(ce))
    assert sums["distill"].count is None and made.always_full
    value = made.value(sums, {"transfer": 3, "labelled": 2})
    assert float(value) == pytest.approx(0.7 * expected / 3 + 0.3 * float(ce) / 2, rel=1e-5)


def test_shares_are_divided_by_their_sum() -> None:
    config = objective(share=7.0).model_dump()
    config["terms"]["labels"]["share"] = 3.0
    made = Objective(ObjectiveConfig.model_validate(config), ROWS, LABELS, source())
    assert made.shares == {"distill": 0.7, "labels": 0.3}


def test_a_teacher_of_weight_zero_is_left_out_without_a_trace() -> None:
    weighting = {"kind": "fixed", "weights": {"three": 2.0, "one": 6.0}}
    made = Objective(objective(weighting=weighting), ROWS, LABELS, source(absent={"two": (3,)}))
    sums, _ = evaluate(made, {"transfer": [3, 9], "labelled": [1]})
    expected = sum(by_hand(row, {"one": 0.75, "three": 0.25}, 2.0) for row in (3, 9))
    assert float(sums["distill"].total.detach()) == pytest.approx(expected, rel=1e-5)


def test_missing_teachers_are_renormalised_and_rows_without_any_do_not_count() -> None:
    absent = {"one": (3, 9), "two": (9,), "three": (9,)}
    made = Objective(objective(), ROWS, LABELS, source(absent=absent, missing="renormalise"))
    sums, logits = evaluate(made, {"transfer": [3, 9, 20], "labelled": [1]})
    expected = by_hand(3, {"two": 0.5, "three": 0.5}, 2.0) + by_hand(20, dict.fromkeys(KNOWN, 1 / 3), 2.0)
    assert float(sums["distill"].total.detach()) == pytest.approx(expected, rel=1e-5)
    assert int(sums["distill"].count) == 2 and not made.always_full
    (gradient,) = torch.autograd.grad(made.value(sums, {"transfer": 3, "labelled": 1}), logits["transfer"])
    assert (gradient[1] == 0).all() and gradient[0].abs().max() > 0


def test_unlabelled_rows_do_not_count_in_a_term_on_labels() -> None:
    config = ObjectiveConfig.model_validate({"terms": {"labels": {"rows": "transfer", "method": "cross_entropy"}}})
    made = Objective(config, ROWS, LABELS, None)
    sums, _ = evaluate(made, {"transfer": [2, 29, 25]})
    ce = -student(torch.tensor([2])).detach().log_softmax(-1)[0, LABELS[2]]
    assert float(sums["labels"].total.detach()) == pytest.approx(float(ce)) and int(sums["labels"].count) == 1


@pytest.mark.parametrize("rows", [[], [29]])
@pytest.mark.parametrize("fusion", ["losses", "mixture", "log_pool"])
def test_an_empty_selection_is_zero_never_nan(rows: list[int], fusion: str) -> None:
    absent = dict.fromkeys(KNOWN, (29,))
    config = objective(fusion=fusion).model_dump()
    config["terms"]["labels"]["rows"] = "transfer"
    made = Objective(ObjectiveConfig.model_validate(config), ROWS, LABELS, source(absent=absent, missing="renormalise"))
    sums, logits = evaluate(made, {"transfer": rows})
    value = made.value(sums, {"transfer": len(rows)})
    (gradient,) = torch.autograd.grad(value, logits["transfer"])
    assert float(value.detach()) == 0 and gradient.isfinite().all() and (gradient == 0).all()


def test_confidence_weighs_row_by_row() -> None:
    made = Objective(objective(weighting="confidence"), ROWS, LABELS, source())
    plain = Objective(objective(), ROWS, LABELS, source())
    for rows, same in (([25, 28], True), ([1, 2], False)):  # unlabelled rows fall back to uniform
        one, _ = evaluate(made, {"transfer": rows, "labelled": [1]})
        two, _ = evaluate(plain, {"transfer": rows, "labelled": [1]})
        assert torch.allclose(one["distill"].total, two["distill"].total, rtol=1e-6) == same


def test_methods_that_want_labels_beside_teachers_get_them() -> None:
    made = Objective(objective(method={"kind": "dkd", "alpha": 1.0, "beta": 0.0}), ROWS, LABELS, source())
    right, logits = evaluate(made, {"transfer": [1, 2], "labelled": [1]})
    index = {"transfer": torch.tensor([1, 2]), "labelled": torch.tensor([1])}
    wrong = {name: (LABELS[rows] + 1) % len(CLASSES) for name, rows in index.items()}
    other = made.sums(logits, index, wrong)
    assert float(right["distill"].total.detach()) != pytest.approx(float(other["distill"].total.detach()))


def test_signal_lenses_act_under_each_teachers_mask_before_the_temperature() -> None:
    lenses = [{"kind": "standardize"}, {"kind": "temperature", "value": 2.0}]
    made = Objective(objective(lenses=lenses), ROWS, LABELS, source())
    sums, logits = evaluate(made, {"transfer": [3], "labelled": [1]})
    said, z, expected = source().logits(torch.tensor([3])), logits["transfer"][0].detach(), 0.0
    for k in range(len(KNOWN)):
        inside = said.class_mask_KC[k]
        a, b = said.logits_KBC[k, 0][inside].double(), z[inside]
        p, q = (((v - v.mean()) / (v.std() + 1e-7) / 2.0).log_softmax(0) for v in (a, b))
        expected += 4.0 / 3 * float((p.exp() * (p - q)).sum())
    assert float(sums["distill"].total.detach()) == pytest.approx(expected, rel=1e-5)


def test_a_term_of_share_zero_is_never_computed_and_needs_nothing() -> None:
    made = Objective(objective(share=0), ROWS, LABELS, None)
    assert list(made.terms) == ["labels"] and made.shares == {"labels": 1.0}


def test_terms_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="there are none"):
        Objective(objective(), ROWS, LABELS, None)
    with pytest.raises(ConfigError, match="row set that doesn't exist"):
        Objective(objective(rows="tranfer"), ROWS, LABELS, source())
    with pytest.raises(ConfigError, match="none of its rows has one"):
        Objective(objective(), ROWS | {"labelled": torch.arange(20, 30)}, LABELS, source())
    with pytest.raises(ConfigError, match="empty"):
        Objective(objective(), ROWS | {"transfer": torch.arange(0)}, LABELS, source())
    for bad in ({"terms": {}}, {"terms": {"x": {"rows": "r", "method": "kl", "share": 0}}}):
        with pytest.raises(ValidationError):
            ObjectiveConfig.model_validate(bad)
