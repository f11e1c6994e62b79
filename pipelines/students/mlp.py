"""A multilayer perceptron: the flattened input, hidden layers, one score per class."""

from __future__ import annotations

from math import prod
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.student import StudentSpec

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh, "silu": nn.SiLU}


class Options(PluginOptions):
    """Multilayer perceptron. Input width and number of classes come from the data.

    hidden: widths of the hidden layers; an empty list is a linear model.
    activation: after every hidden layer.
    scale: the input is multiplied by it first (0.0625 for pixels from 0 to 16).
    """

    kind: Literal["mlp"] = "mlp"
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (64,)
    activation: Literal["relu", "gelu", "tanh", "silu"] = "relu"
    scale: float = 1.0


class Scale(nn.Module):
    """Multiplies by a constant; part of the student, so an exported student takes the data as they are."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * self.factor


def build(options: Options, spec: StudentSpec) -> nn.Module:
    """Returns the network; inputs [B, ...] are flattened to [B, D] when they have more than one dimension."""
    layers: list[nn.Module] = [nn.Flatten()] if len(spec.input_shape) != 1 else []
    layers += [Scale(options.scale)] if options.scale != 1.0 else []
    width = prod(spec.input_shape)
    for size in options.hidden:
        layers += [nn.Linear(width, size), _ACTIVATIONS[options.activation]()]
        width = size
    return nn.Sequential(*layers, nn.Linear(width, len(spec.classes)))
