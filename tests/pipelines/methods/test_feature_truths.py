"""Four truths of every feature method: its minimum, its invariances, its gradient (adapters too), and awkward input."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from foundation import registry
from pipelines.feature_method import FeatureBatch, Shapes
from tests.pipelines.methods.feature_catalogue import FEATURE_CLAIMS, FeatureClaim

every_claim = pytest.mark.parametrize("claim", FEATURE_CLAIMS, ids=str)
seeds = st.integers(0, 9999)
CLASSES = 3


def _batch(claim: FeatureClaim, rows: int, seed: int, dtype: torch.dtype = torch.float64) -> FeatureBatch:
    generator = torch.Generator().manual_seed(seed)

    def draw(shape: tuple[int, ...]) -> Tensor:
        return torch.randn(rows, *shape, generator=generator, dtype=torch.float64).to(dtype)

    return FeatureBatch(
        tuple(draw(shape) for shape in claim.student),
        tuple(draw(shape) for shape in claim.teacher),
        labels_B=torch.randint(0, CLASSES, (rows,), generator=generator),
        student_logits_BC=draw((CLASSES,)),
        teacher_logits_BC=draw((CLASSES,)),
        rows_B=torch.arange(rows),
    )


def _adapter(claim: FeatureClaim, batch: FeatureBatch) -> nn.Module | None:
    module = registry.load("method", claim.method)
    if not hasattr(module, "adapter"):
        return None
    torch.manual_seed(0)
    made: nn.Module | None = module.adapter(
        module.Options(**claim.options_for(len(batch.student[0]))),
        Shapes.of(batch, classes=CLASSES, rows=len(batch.student[0])),
    )
    if made is not None:
        made.to(torch.float64 if batch.student[0].dtype == torch.float64 else torch.float32)
    if made is not None and hasattr(module, "prepare"):
        # On other rows than the batch: a row that defines a median lies on a hyperplane, and rounding decides its side.
        module.prepare(
            made,
            _batch(claim, 7, 4321, batch.teacher[0].dtype).teacher,
            module.Options(**claim.options_for(len(batch.student[0]))),
        )
    if made is not None and hasattr(module, "remember"):  # constants of the first batch are constants from here on
        module.remember(batch, made, module.Options(**claim.options_for(len(batch.student[0]))))
    return made


def _call(claim: FeatureClaim, batch: FeatureBatch, adapter: nn.Module | None) -> Tensor:
    module = registry.load("method", claim.method)
    result: Tensor = module.loss(batch, adapter, module.Options(**claim.options_for(len(batch.student[0]))))
    return result


def _leaves(batch: FeatureBatch) -> FeatureBatch:
    return replace(batch, student=tuple(stage.clone().requires_grad_() for stage in batch.student))


@every_claim
@settings(max_examples=8)
@given(seed=seeds, rows=st.integers(2, 6))
def test_the_minimum_is_where_it_is_claimed(claim: FeatureClaim, seed: int, rows: int) -> None:
    if claim.at_equal == "neither":
        assert claim.student != claim.teacher or claim.method in ("activation_boundary", "vid", "rid", "lsh")
        return
    batch = _batch(claim, rows, seed)
    if claim.student == claim.teacher:
        batch = _leaves(replace(batch, student=batch.teacher))
    else:  # the same layer, seen through the pooling that brings sizes together
        batch = _leaves(replace(batch, student=batch.student, teacher=tuple(_shrunk(batch.student, claim.teacher))))
    mean = _call(claim, batch, _adapter(claim, batch)).mean()
    gradients = torch.autograd.grad(mean, batch.student, allow_unused=True)
    for gradient in gradients:
        assert gradient is None or gradient.abs().max() < claim.slack
    if claim.at_equal == "zero":
        assert mean.abs() < claim.slack
    away = replace(batch, student=tuple(s + torch.randn_like(s) for s in batch.student))
    assert _call(claim, away, _adapter(claim, batch)).mean() >= mean - 1e-12


def _shrunk(stages: tuple[Tensor, ...], shapes: tuple[tuple[int, ...], ...]) -> list[Tensor]:
    return [
        torch.nn.functional.adaptive_avg_pool2d(stage, (shape[1], shape[2])).detach()
        for stage, shape in zip(stages, shapes, strict=True)
    ]


@every_claim
@settings(max_examples=8)
@given(seed=seeds, by=st.floats(0.2, 5.0))
def test_what_is_claimed_to_leave_it_alone_does(claim: FeatureClaim, seed: int, by: float) -> None:
    batch = _batch(claim, 5, seed)
    adapter = _adapter(claim, batch)
    before = _call(claim, batch, adapter)
    assert before.shape == (5,)
    generator = torch.Generator().manual_seed(seed + 1)
    for name in claim.invariant:
        after = _call(
            claim, replace(batch, student=tuple(_changed(s, name, by, generator) for s in batch.student)), adapter
        )
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-6)
    order = torch.randperm(5, generator=generator)
    if claim.any_order:
        torch.testing.assert_close(_call(claim, _rows(batch, order), adapter), before[order], rtol=1e-7, atol=1e-9)
    if not claim.spans_batch:
        alone = _call(claim, _rows(batch, torch.tensor([0])), adapter)
        torch.testing.assert_close(alone, before[:1], rtol=1e-7, atol=1e-9)


def _rows(batch: FeatureBatch, chosen: Tensor) -> FeatureBatch:
    def pick(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor[chosen]

    return FeatureBatch(
        tuple(s[chosen] for s in batch.student),
        tuple(t[chosen] for t in batch.teacher),
        labels_B=pick(batch.labels_B),
        student_logits_BC=pick(batch.student_logits_BC),
        teacher_logits_BC=pick(batch.teacher_logits_BC),
        rows_B=pick(batch.rows_B),
    )


def _changed(stage: Tensor, name: str, by: float, generator: torch.Generator) -> Tensor:
    rows = len(stage)
    if name == "scale":
        return stage * by
    if name == "row_scale":
        factors = 0.5 + torch.rand(rows, generator=generator, dtype=stage.dtype)
        return stage * factors.view(-1, *[1] * (stage.dim() - 1))
    if name == "turn":
        return stage.roll((1, 2), dims=(2, 3))
    if name == "shift":
        return stage + by * torch.randn(1, *stage.shape[1:], generator=generator, dtype=stage.dtype)
    assert name == "rotation" and stage.dim() == 2
    square = torch.randn(stage.shape[1], stage.shape[1], generator=generator, dtype=stage.dtype)
    turn: Tensor = torch.linalg.qr(square)[0]
    return stage @ turn


@every_claim
@settings(max_examples=2)
@given(seed=seeds)
def test_the_gradient_is_the_slope(claim: FeatureClaim, seed: int) -> None:
    batch = _batch(claim, 4, seed)
    adapter = _adapter(claim, batch)
    parameters = [] if adapter is None else [p for p in adapter.parameters() if p.requires_grad]
    leaves = tuple(stage.requires_grad_() for stage in batch.student)

    def total(*_: Tensor) -> Tensor:
        return _call(claim, replace(batch, student=leaves), adapter).sum()

    wanted = torch.autograd.grad(total(), [*leaves, *parameters], allow_unused=True)
    generator = torch.Generator().manual_seed(seed)
    for tensor, slope in zip([*leaves, *parameters], wanted, strict=True):
        if (slope is None and claim.detached) or (not claim.head_slope and not any(tensor is leaf for leaf in leaves)):
            continue
        direction = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
        analytic = 0.0 if slope is None else float((slope * direction).sum())
        assert analytic == pytest.approx(_along(total, tensor, direction), rel=2e-4, abs=2e-5)


def _along(total, tensor: Tensor, direction: Tensor, step: float = 1e-6) -> float:  # type: ignore[no-untyped-def]
    """Returns the central difference of `total` along a direction, changing the tensor in place and back."""
    with torch.no_grad():
        tensor += step * direction
        up = float(total())
        tensor -= 2 * step * direction
        down = float(total())
        tensor += step * direction
    return (up - down) / (2 * step)


@every_claim
@pytest.mark.parametrize("name", ["zeros", "ones", "large", "tiny", "equal rows", "one row", "zero teacher"])
def test_awkward_input_stays_finite(claim: FeatureClaim, name: str) -> None:
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        _finite(claim, name, dtype)


def _finite(claim: FeatureClaim, name: str, dtype: torch.dtype) -> None:
    batch = _batch(claim, 1 if name == "one row" else 3, 5, dtype)
    large = min(claim.awkward_size, 100.0) if dtype == torch.float16 else claim.awkward_size
    factor = {"zeros": 0.0, "large": large, "tiny": 1e-4}.get(name, 1.0)
    student = tuple(torch.ones_like(s) if name == "ones" else s * factor for s in batch.student)
    teacher = tuple(t * (0.0 if name in ("zeros", "zero teacher") else 1.0) for t in batch.teacher)
    if name == "equal rows":
        student, teacher = (tuple(x[:1].expand_as(x).contiguous() for x in side) for side in (student, teacher))
    batch = _leaves(replace(batch, student=student, teacher=teacher))
    adapter = _adapter(claim, batch)
    value = _call(claim, batch, adapter)
    assert value.shape == (len(batch.student[0]),)
    assert torch.isfinite(value).all(), (dtype, value)
    for gradient in torch.autograd.grad(value.mean(), batch.student, allow_unused=True):
        assert gradient is None or torch.isfinite(gradient).all(), (dtype, gradient)


@pytest.mark.parametrize("compare", ["mse", "cosine", "fsp", "gram", "attention_mse", "attention_ce"])
def test_tokens_that_do_not_count_do_not_matter(compare: str) -> None:
    scores = compare.startswith("attention")
    claim = FeatureClaim("hidden_states", {"compare": compare}, ((2, 4, 4),) if scores else ((4, 3),), ((4, 3),))
    batch = _batch(replace(claim, teacher=claim.student), 3, 11)
    valid = torch.tensor([[True, True, True, False], [True, False, False, False], [True, True, True, True]])
    before = _call(claim, replace(batch, valid_BN=valid), None)
    student = batch.student[0].clone()
    if scores:
        student[:, :, :, :].masked_fill_(~valid[:, None, :, None], 7.0)  # rows of tokens that ask, but don't count
    else:
        student.masked_fill_(~valid.unsqueeze(-1), 7.0)
    after = _call(claim, replace(batch, student=(student,), valid_BN=valid), None)
    torch.testing.assert_close(after, before)
    nothing = _call(claim, replace(batch, valid_BN=torch.zeros_like(valid)), None)
    assert torch.isfinite(nothing).all()


def test_pressing_learns_from_neighbours_and_the_student_from_angles() -> None:
    claim = FeatureClaim("cospress", {"temperatures": (0.3,)}, ((4, 3),), ((4, 5),))
    batch = _leaves(_batch(claim, 4, 3))
    head = _adapter(claim, batch)
    assert isinstance(head, nn.Linear)
    parts = registry.load("method", "cospress").parts(batch, head, registry.load("method", "cospress").Options())
    for name, part in parts.items():
        to_student, to_head = torch.autograd.grad(
            part.sum(), [batch.student[0], head.weight], allow_unused=True, retain_graph=True
        )
        assert (to_student is None) == (name in ("global", "local"))
        assert (to_head is None) == (name in ("fea", "token"))


def test_memory_moves_only_the_rows_seen_and_the_normaliser_is_set_once() -> None:
    crd = registry.load("method", "crd")
    claim = FeatureClaim("crd", {"negatives": 4, "width": 3}, ((5,),), ((4,),))
    batch = _batch(claim, 6, 1)
    options = crd.Options(**claim.options)
    memory = crd.adapter(options, Shapes.of(batch, rows=20)).double()
    before, some = memory.student_ND.clone(), _rows(batch, torch.tensor([0, 3]))
    first = crd.loss(some, memory, options)
    torch.testing.assert_close(crd.loss(some, memory, options), first)
    crd.remember(some, memory, options)
    moved = (memory.student_ND != before).any(1)
    assert moved.nonzero().flatten().tolist() == [0, 3]
    normalisers = memory.normaliser_2.clone()
    crd.remember(batch, memory, options)
    assert torch.equal(memory.normaliser_2, normalisers) and int(memory.step) == 2
