"""One golden case: its inputs as tensors, the leaves gradients are taken to, and a memory of what was read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

DATA = Path(__file__).parent / "data"


def folder() -> Path:
    """Where the numbers are: `GOLDEN_DIR`, else the copy beside this file."""
    return Path(os.environ.get("GOLDEN_DIR", DATA))


@dataclass
class Case:
    """Inputs and expectations of one run of an original. Reading an array marks it as an input."""

    id: str
    name: str
    arrays: dict[str, np.ndarray[Any, Any]]
    leaves: dict[str, Tensor] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    @property
    def status(self) -> str:
        self.used.add("status")
        return str(self.arrays.get("status", "ok"))

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the case: double unless all its arrays are single."""
        double = any(array.dtype == np.float64 and array.ndim for array in self.arrays.values())
        return torch.float64 if double else torch.float32

    def has(self, name: str) -> bool:
        return name in self.arrays

    def text(self, name: str) -> str:
        self.used.add(name)
        return str(self.arrays[name])

    def number(self, name: str) -> float:
        self.used.add(name)
        return float(self.arrays[name])

    def whole(self, name: str) -> int:
        return int(self.number(name))

    def fixed(self, name: str) -> Tensor:
        """Returns an input that no gradient is taken to, in its stored type."""
        self.used.add(name)
        return torch.from_numpy(np.array(self.arrays[name]))

    def leaf(self, name: str) -> Tensor:
        """Returns an input that gradients are taken to; the same tensor every time."""
        if name not in self.leaves:
            self.leaves[name] = self.fixed(name).requires_grad_()
        return self.leaves[name]

    def labels(self, name: str = "y") -> Tensor:
        return self.fixed(name).long()

    def fixed_stages(self, prefix: str) -> tuple[Tensor, ...]:
        return tuple(self.fixed(name) for name in self._numbered(prefix))

    def leaf_stages(self, prefix: str) -> tuple[Tensor, ...]:
        return tuple(self.leaf(name) for name in self._numbered(prefix))

    def fill(self, module: nn.Module, names: Mapping[str, str]) -> None:
        """Puts stored parameters into `module`: {parameter path: array name}; they become leaves of those names.

        Raises KeyError when the module has a parameter that is not named: a forgotten one would keep a random value.
        """
        module.to(self.dtype)
        for path, parameter in module.named_parameters():
            value = self.fixed(names[path])
            with torch.no_grad():
                parameter.copy_(value)
            self.leaves[names[path]] = parameter

    def _numbered(self, prefix: str) -> list[str]:
        found: list[str] = []
        while (name := f"{prefix}_{len(found)}") in self.arrays:
            found.append(name)
        return found


def cases(where: Path | None = None) -> Iterator[Case]:
    """Every case of every file of the folder, in order."""
    for path in sorted((where or folder()).glob("*.npz")):
        groups: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
        with np.load(path) as stored:
            for key in stored.files:
                group, _, name = key.partition("/")
                groups.setdefault(group, {})[name] = stored[key]
        for group in sorted(groups, key=lambda g: (len(g), g)):
            yield Case(path.stem, group, groups[group])
