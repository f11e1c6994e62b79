"""Contract: a lens changes a signal, alike on the teacher's and the student's side, before they are compared.

A lens is one file in `pipelines/lenses/` with `class Options(PluginOptions)` and one of

    def look(logits, class_mask, options) -> logits               a signal lens: [..., B, C] to [..., B, C]
    def temperatures(options, names) -> tuple[float, ...]         a temperature: one number per teacher

Signal lenses act first, in the order written, on untempered logits; then the product of all temperatures divides both
sides and the fusion gives the T^2. (Standardising after dividing by T would undo T.) `class_mask` broadcasts to the
logits; classes outside it do not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from foundation import registry
from foundation.errors import PluginError
from foundation.model import PluginOptions


@dataclass(frozen=True)
class Temperatures:
    """One temperature per teacher, and the forms of it that a fusion needs every step."""

    value_K1: Tensor
    scale_K11: Tensor = field(init=False)
    square_K1: Tensor = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale_K11", (1.0 / self.value_K1).unsqueeze(-1))
        object.__setattr__(self, "square_K1", self.value_K1.square())

    @classmethod
    def of(cls, values: Sequence[float], dtype: torch.dtype = torch.float32, device: str = "cpu") -> Temperatures:
        return cls(torch.tensor(list(values), dtype=dtype, device=device).unsqueeze(1))


@dataclass(frozen=True)
class Lenses:
    """The lenses of one term: signal lenses bound to their options, and one temperature per teacher."""

    signal: tuple[Callable[[Tensor, Tensor], Tensor], ...]
    temperature: tuple[float, ...]

    @classmethod
    def of(cls, options: Sequence[PluginOptions], names: Sequence[str]) -> Lenses:
        """Binds the chosen lenses for the teachers `names`. Raises `PluginError` for a lens file without a lens."""
        signal: list[Callable[[Tensor, Tensor], Tensor]] = []
        temperature = [1.0] * len(names)
        for chosen in options:
            module = registry.load("lens", chosen.kind)
            if hasattr(module, "temperatures"):
                values = module.temperatures(chosen, names)
                temperature = [old * new for old, new in zip(temperature, values, strict=True)]
            elif hasattr(module, "look"):
                signal.append(_bind(module.look, chosen))
            else:
                raise PluginError("A lens must define `look` or `temperatures`.", where=f"lens {chosen.kind}")
        return cls(tuple(signal), tuple(temperature))

    def look(self, logits: Tensor, class_mask: Tensor) -> Tensor:
        for lens in self.signal:
            logits = lens(logits, class_mask)
        return logits


def _bind(
    look: Callable[[Tensor, Tensor, PluginOptions], Tensor], options: PluginOptions
) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda logits, class_mask: look(logits, class_mask, options)
