"""What every weighting promises (shares of the teachers present), and what each of them is for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from foundation import registry
from foundation.errors import ConfigError
from pipelines.lens import Temperatures
from pipelines.maths.capped_simplex import shortest_combination
from pipelines.student_weighting import Moment
from pipelines.teacher_logits import TeacherLogits

NAMES = ("a", "b", "c")
CHOICES: list[tuple[str, dict[str, Any]]] = [
    ("entropy", {}),
    ("agreement", {}),
    ("agreement", {"sharpness": 4.0}),
    ("coverage", {"covering": "a"}),
    ("gradient_space", {}),
    ("gradient_space", {"nu": 0.5, "unit_gradients": True}),
    ("agre", {"biased": "c"}),
    ("mirror_descent", {}),
]
every = pytest.mark.parametrize(("name", "values"), CHOICES, ids=lambda v: str(v))


def _weigh(name: str, values: dict[str, Any], teachers: TeacherLogits, student_BC: Tensor | None = None) -> Tensor:
    module = registry.load("weighting", name)
    count, rows, classes = teachers.logits_KBC.shape
    student = torch.zeros(rows, classes) if student_BC is None else student_BC
    moment = Moment(student, Temperatures.of([2.0] * count), slope_K=torch.linspace(-1, 1, count))
    extra = (moment,) if hasattr(module, "SEES") else ()
    weights: Tensor = module.weights(module.Options(**values), teachers, None, NAMES[:count], *extra)
    return weights


def _teachers(logits_KBC: Tensor, known_KC: Tensor | None = None, present_KB: Tensor | None = None) -> TeacherLogits:
    count, rows, classes = logits_KBC.shape
    known = torch.ones(count, classes, dtype=torch.bool) if known_KC is None else known_KC
    present = torch.ones(count, rows, dtype=torch.bool) if present_KB is None else present_KB
    return TeacherLogits(logits_KBC * known.unsqueeze(1), known, present)


@every
@settings(max_examples=15)
@given(seed=st.integers(0, 9999), rows=st.integers(1, 5), scale=st.sampled_from([0.1, 3.0, 1e4]))
def test_weights_are_shares_of_the_present(
    name: str, values: dict[str, Any], seed: int, rows: int, scale: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(3, rows, 4, generator=generator)
    known = torch.tensor([[True, True, True, True], [True, True, False, False], [False, True, True, False]])
    present = torch.rand(3, rows, generator=generator) < 0.7
    weights = _weigh(name, values, _teachers(logits, known, present), torch.randn(rows, 4, generator=generator))
    assert torch.isfinite(weights).all() and (weights >= 0).all() and not weights.requires_grad
    if name in ("gradient_space", "mirror_descent"):
        torch.testing.assert_close(weights.sum(0), torch.ones(weights.shape[1]))
        return
    counted = present.clone()
    if name == "agre":
        assert (weights[2] == 0).all()
        counted[2] = False
    assert (weights[~present] == 0).all()
    torch.testing.assert_close(weights.sum(0), counted.any(0).float())


@every
@pytest.mark.parametrize(
    "logits", [torch.zeros(3, 2, 4), torch.full((3, 2, 4), 1e4), 1e4 * torch.eye(4).expand(3, 4, 4)]
)
def test_equal_teachers_count_the_same(name: str, values: dict[str, Any], logits: Tensor) -> None:
    weights = _weigh(name, values, _teachers(logits), logits[0])
    if name in ("entropy", "agreement", "gradient_space"):
        torch.testing.assert_close(weights, torch.full_like(weights, 1 / 3))
    elif name == "agre":
        torch.testing.assert_close(weights[:2], torch.full_like(weights[:2], 1 / 2))
    elif name == "coverage":
        torch.testing.assert_close(weights[1:], torch.full_like(weights[1:], 0.4))


@pytest.mark.parametrize(("name", "values"), [c for c in CHOICES if c[0] in ("entropy", "agreement")], ids=str)
def test_one_teacher_has_all_the_weight(name: str, values: dict[str, Any]) -> None:
    assert _weigh(name, values, _teachers(torch.randn(1, 3, 4))).tolist() == [[1.0, 1.0, 1.0]]


def test_entropy_prefers_the_sure_and_is_fair_to_small_label_spaces() -> None:
    sure, unsure = torch.tensor([[9.0, 0, 0, 0]]), torch.zeros(1, 4)
    weights = _weigh("entropy", {}, _teachers(torch.stack([sure, unsure])))
    assert weights[0, 0] > 0.95
    known = torch.tensor([[True] * 4, [True, True, False, False]])
    both_unsure = _weigh("entropy", {}, _teachers(torch.zeros(2, 1, 4), known))
    torch.testing.assert_close(both_unsure, torch.full((2, 1), 0.5))


def test_agreement_drops_the_odd_one_out() -> None:
    two = torch.tensor([[5.0, 0, 0, 0]])
    odd = torch.tensor([[0.0, 0, 0, 5.0]])
    weights = _weigh("agreement", {"sharpness": 2.0}, _teachers(torch.stack([two, two, odd])))
    assert weights[2, 0] < 0.1 and weights[0, 0] == weights[1, 0]
    flat = _weigh("agreement", {"sharpness": 0.0}, _teachers(torch.stack([two, two, odd])))
    torch.testing.assert_close(flat, torch.full_like(flat, 1 / 3))


def test_coverage_follows_the_covering_teacher_to_the_specialist() -> None:
    known = torch.tensor([[True] * 4, [True, True, False, False], [False, False, True, True]])
    logits = torch.zeros(3, 2, 4)
    logits[0] = torch.tensor([[6.0, 0, 0, 0], [0, 0, 0, 6.0]])
    weights = _weigh("coverage", {"covering": "a", "own_share": 0.25}, _teachers(logits, known))
    assert weights[0].tolist() == pytest.approx([0.25, 0.25])
    assert weights[1, 0] > 0.7 and weights[2, 1] > 0.7
    with pytest.raises(ConfigError):
        _weigh("coverage", {"covering": "nobody"}, _teachers(logits, known))
    with pytest.raises(ConfigError):
        _weigh("coverage", {"covering": "b"}, _teachers(logits, known))


def test_agre_prefers_who_pulls_away_from_the_bias() -> None:
    student = torch.tensor([[2.0, 0.0, 0.0]])
    biased, follower, other = (torch.tensor([z]) for z in ([4.0, 0.0, 0.0], [4.1, 0.0, 0.1], [0.0, 4.0, 0.0]))
    weights = _weigh("agre", {"biased": "c"}, _teachers(torch.stack([follower, other, biased])), student)
    assert weights[1, 0] > 0.95 and weights[2, 0] == 0
    with pytest.raises(ConfigError):
        _weigh("agre", {"biased": "nobody"}, _teachers(torch.zeros(2, 1, 3)), student)


def test_gradient_space_finds_the_shortest_point() -> None:
    generator = torch.Generator().manual_seed(1)
    for limit in (1.0, 0.6, 0.4):
        directions = torch.randn(4, 3, generator=generator, dtype=torch.float64)
        gram = directions @ directions.mT
        best = shortest_combination(gram, limit)
        assert best.sum().item() == pytest.approx(1) and best.max() <= limit + 1e-12 and best.min() >= 0
        value = best @ gram @ best
        for _ in range(300):
            other = torch.distributions.Dirichlet(torch.ones(4, dtype=torch.float64)).sample()
            if other.max() <= limit:
                assert other @ gram @ other >= value - 1e-10
    assert shortest_combination(torch.eye(2, dtype=torch.float64), 0.1).tolist() == [0.5, 0.5]


def test_gradient_space_is_limited_by_nu() -> None:
    logits = torch.tensor([[[9.0, 0, 0]], [[0.1, 0, 0]], [[0.0, 9.0, 0]]])
    free = _weigh("gradient_space", {}, _teachers(logits))
    capped = _weigh("gradient_space", {"nu": 0.8}, _teachers(logits))
    assert free.max() > 1 / 2.4 and capped.max() <= 1 / 2.4 + 1e-6


def test_mirror_descent_lowers_a_linear_loss_and_starts_equal() -> None:
    module = registry.load("weighting", "mirror_descent")
    first = module.weights(module.Options(), None, None, NAMES, Moment())
    assert first.squeeze(1).tolist() == pytest.approx([1 / 3] * 3)
    slope = torch.tensor([1.0, 0.0, -1.0])
    after = module.weights(module.Options(), None, None, NAMES, Moment(weights_K=first.squeeze(1), slope_K=slope))
    assert (after.squeeze(1) * slope).sum() < (first.squeeze(1) * slope).sum()
    far = module.weights(module.Options(), None, None, NAMES, Moment(weights_K=first.squeeze(1), slope_K=1e5 * slope))
    assert far.squeeze(1).tolist() == pytest.approx([0, 0, 1])
    gone = module.weights(module.Options(), None, None, ("a", "b"), Moment(weights_K=torch.tensor([0.0, 1.0])))
    assert gone.squeeze(1).tolist() == [0, 1]


@pytest.mark.parametrize("name", ["entropy", "agreement", "gradient_space", "agre"])
def test_being_asked_with_nothing_is_an_error(name: str) -> None:
    module = registry.load("weighting", name)
    options = module.Options(**({"biased": "a"} if name == "agre" else {}))
    with pytest.raises(ConfigError):
        module.weights(options, None, None, NAMES, *((Moment(),) if hasattr(module, "SEES") else ()))
