"""How adapters call plug-ins: the house's own lens, fusion and mean, one line each. No formula of a method is here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from foundation import registry
from foundation.model import PluginOptions
from pipelines.fusions import losses
from pipelines.lens import Temperatures
from pipelines.teacher_logits import TeacherLogits

Compare = Callable[[Tensor, Tensor, Tensor], Tensor]


def options(kind: str, name: str, **values: Any) -> PluginOptions:
    made: PluginOptions = registry.load(kind, name).Options(**values)
    return made


def method(name: str, labels_B: Tensor | None = None, **values: Any) -> Compare:
    """Returns the method `name` with its options, and labels where it wants them, bound."""
    module, chosen = registry.load("method", name), options("method", name, **values)
    if labels_B is None:
        return lambda student, teacher, mask: module.loss(student, teacher, mask, chosen)
    return lambda student, teacher, mask: module.loss(student, teacher, mask, labels_B, chosen)


def everything(logits: Tensor) -> Tensor:
    return torch.ones(1, logits.shape[-1], dtype=torch.bool)


def teachers(logits: Tensor) -> TeacherLogits:
    """Logits [B, C] of one teacher or [K, B, C] of several, who know all classes and all rows."""
    logits_KBC = logits if logits.dim() == 3 else logits.unsqueeze(0)
    count, rows, classes = logits_KBC.shape
    known, present = torch.ones(count, classes, dtype=torch.bool), torch.ones(count, rows, dtype=torch.bool)
    return TeacherLogits(logits_KBC, known, present, complete=True)


def uniform(signals: TeacherLogits) -> Tensor:
    count = signals.logits_KBC.shape[0]
    weights: Tensor = registry.load("weighting", "uniform").weights(
        options("weighting", "uniform"), None, None, [str(k) for k in range(count)]
    )
    return weights.to(signals.logits_KBC.dtype)


def fused(
    compare: Compare, student_BC: Tensor, teacher: Tensor, temperature: float, weights_KB: Tensor | None = None
) -> Tensor:
    """Returns loss_B as the objective has it: temperature on both sides, weights, T^2 (fusion `losses`)."""
    signals = teachers(teacher)
    weights = uniform(signals) if weights_KB is None else weights_KB
    scale = Temperatures.of([temperature] * len(signals.logits_KBC), student_BC.dtype)
    return losses.fuse(compare, student_BC, signals, weights, scale, losses.Options())


def tempered(compare: Compare, student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Returns losses of both sides at a temperature, without the fusion's T^2."""
    scale = Temperatures.of([temperature], student.dtype).scale_K11[0]
    return compare(student * scale, teacher * scale, everything(student))


def standardized(logits: Tensor) -> Tensor:
    module = registry.load("lens", "standardize")
    looked: Tensor = module.look(logits, everything(logits), module.Options())
    return looked


def valid_mean(losses_any: Tensor, valid: Tensor) -> Tensor:
    """Returns the mean over the entries that count, the objective's reduction."""
    return losses_any[valid].mean()
