"""Contract: how a student is built.

A student is one file in `pipelines/students/` with

    class Options(PluginOptions)
    def build(options, spec) -> torch.nn.Module        forward(inputs [B, ...] float32) -> logits [B, C]

`build` draws its initial weights from torch's global generator, which `make_student` seeds and then puts back, so
that a student is a function of (options, spec, seed) and nothing else in the process changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from foundation import registry
from foundation.errors import ConfigError
from foundation.model import PluginOptions
from pipelines.randomness import seeded


@dataclass(frozen=True)
class StudentSpec:
    """What the data decide about a student.

    Attributes:
        input_shape: shape of one row's input, without the batch.
        classes: class names; the student has one output each, in this order.
    """

    input_shape: tuple[int, ...]
    classes: tuple[str, ...]


def make_student(options: PluginOptions, spec: StudentSpec, seed: int) -> nn.Module:
    """Returns a fresh student, its weights drawn from `seed`; the process's random state is left as it was.

    Raises `ConfigError` when it doesn't give one output per class for one row.
    """
    with seeded(seed):
        student: nn.Module = registry.load("student", options.kind).build(options, spec)
    was_training = student.training
    student.eval()
    try:
        with torch.no_grad():
            shape = tuple(student(torch.zeros(1, *spec.input_shape)).shape)
    except RuntimeError as error:
        raise ConfigError(
            "The student can't take the data's inputs.",
            expected=f"inputs of shape {(1, *spec.input_shape)}",
            found=str(error).splitlines()[0],
            where="student",
        ) from error
    student.train(was_training)
    if shape != (1, len(spec.classes)):
        raise ConfigError(
            "The student doesn't give one score per class.",
            expected=f"output of shape {(1, len(spec.classes))}",
            found=shape,
            where="student",
        )
    return student


def count_parameters(student: nn.Module) -> int:
    """Returns the number of trained parameters."""
    return sum(parameter.numel() for parameter in student.parameters() if parameter.requires_grad)
