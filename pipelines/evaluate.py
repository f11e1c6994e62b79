"""Predictions of a student, and of the plain mean of the teachers, as numpy arrays for metrics and reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pipelines.teacher_logits import SignalSource
from pipelines.training_data import input_tensor
from pipelines.weighting import renormalise

Array = np.ndarray[Any, np.dtype[Any]]
CHUNK = 4096


class HasInputs(Protocol):
    """A `Dataset` (numpy columns by name) or `TrainingData` (one tensor)."""

    @property
    def inputs(self) -> Mapping[str, Array] | Tensor: ...


def predict(student: nn.Module, data: HasInputs, positions: Array | Tensor) -> Array:
    """Returns the student's logits for the rows at `positions`, float32 [N, C]; its train/eval mode stays as it was."""
    index = torch.as_tensor(positions, dtype=torch.int64)
    inputs = data.inputs
    if not isinstance(inputs, Tensor):
        rows = index.cpu().numpy()
        inputs = input_tensor({name: np.asarray(column)[rows] for name, column in inputs.items()})
        index = torch.arange(len(index))
    device = next((parameter.device for parameter in student.parameters()), torch.device("cpu"))
    was_training = student.training
    student.eval()
    try:
        with torch.inference_mode():
            parts = [student(inputs[part.to(inputs.device)].to(device)) for part in index.split(CHUNK)]  # type: ignore[no-untyped-call]
            return torch.cat(parts).float().cpu().numpy()
    finally:
        student.train(was_training)


def teacher_mixture(source: SignalSource, positions: Array | Tensor) -> Array:
    """Returns the teachers' plain mean of probabilities at T = 1, float64 [N, C].

    This is the fixed yardstick of fidelity: it doesn't depend on weights or temperatures under search, which could
    otherwise be chosen so that the target is easy to hit. A class a teacher doesn't know has probability 0 there; a
    teacher without a label for a row is left out of that row's mean; a row without any teacher is NaN.
    """
    index = torch.as_tensor(positions, dtype=torch.int64)
    said = source.logits(index)
    masked_KBC = said.logits_KBC.double().masked_fill(~said.class_mask_KC.unsqueeze(1), float("-inf"))
    equal_KB = torch.ones(said.present_KB.shape, dtype=torch.float64, device=masked_KBC.device)
    weights_KB = renormalise(equal_KB, said.present_KB)
    mean_BC = (weights_KB.unsqueeze(-1) * masked_KBC.softmax(-1)).sum(0)
    mean_BC[~said.present_KB.any(0)] = float("nan")
    return mean_BC.cpu().numpy()
