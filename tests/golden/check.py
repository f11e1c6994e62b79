"""Compares what an adapter returned with what the original computed: values, gradients, and that nothing is skipped"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.golden.case import Case

TOLERANCES: dict[str, Any] = tomllib.loads((Path(__file__).parent / "tolerances.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Stated:
    """Our value where the original differs by a factor that its README states: original = factor x ours."""

    value: Tensor
    factor: float
    why: str


@dataclass(frozen=True)
class Differs:
    """Our value where the original departs from its paper and we follow the paper: the two must not agree."""

    value: Tensor
    why: str


Output = Tensor | Stated | Differs
Adapter = Callable[[Case], Mapping[str, Output]]


def check(case: Case, adapter: Adapter, skips: frozenset[str] = frozenset()) -> list[str]:
    """Returns complaints; empty when values and gradients agree and every array was read, compared or is in `skips`."""
    try:
        with _default(case.dtype):
            outputs = dict(adapter(case))
    except Exception as error:  # an adapter that fails is a disagreement of its case, not the end of the run
        return [f"{type(error).__name__}: {error}"]
    complaints: list[str] = []
    seen = case.used | {"status"}
    deviates = False
    for name in [n for n in case.arrays if n not in seen]:
        if name in outputs:
            output = outputs[name]
            deviates |= isinstance(output, Differs)
            complaints += _compare(case, name, output, "value")
        elif name.startswith("grad_"):
            complaints += _gradient(case, name, outputs)
        elif name not in skips:
            complaints.append(f"{name}: neither read nor compared")
    complaints += [
        f"{name}: returned, but the case has no such number" for name in outputs if name not in (*case.arrays, "pull")
    ]
    if (case.status == "original-deviates") != deviates:
        complaints.append("a case that deviates from its paper must be shown to differ, and no other may")
    return complaints


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    """Constants that plug-ins make (1 / K, ...) must not be the least precise part of a case, nor more precise."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _gradient(case: Case, name: str, outputs: Mapping[str, Output]) -> list[str]:
    """`grad_<leaf>` is of `loss`, or of `pull` (an output times its stored cotangent); `grad_<leaf>_<part>` is of
    `loss_<part>`, or of another number named by the part.
    """
    rest = name.removeprefix("grad_")
    for leaf in sorted(case.leaves, key=len, reverse=True):
        if rest != leaf and not rest.startswith(leaf + "_"):
            continue
        part = rest[len(leaf) + 1 :]
        wanted = (f"loss_{part}", f"sum_{part}", f"{part}_loss", part) if part else ("loss", "loss_sum", "pull")
        output = next((outputs[w] for w in wanted if w in outputs), None)
        if output is None and not part:
            output = _sum(outputs)
        if output is None:
            continue
        wrap = type(output)
        value = output if isinstance(output, Tensor) else output.value
        (found,) = torch.autograd.grad(value.sum(), case.leaves[leaf], retain_graph=True, allow_unused=True)
        found = torch.zeros_like(case.leaves[leaf]) if found is None else found
        if isinstance(output, Tensor):
            return _compare(case, name, found, "gradient")
        if isinstance(output, Stated):
            return _compare(case, name, Stated(found, output.factor, output.why), "gradient")
        return _compare(case, name, wrap(found, output.why), "gradient")  # type: ignore[call-arg]
    return [f"{name}: no leaf or no loss of this name was returned"]


def _sum(outputs: Mapping[str, Output]) -> Tensor | None:
    """Where a file has several parts and no `loss`, a leaf's plain gradient is that of the one part it enters."""
    parts = [v for k, v in outputs.items() if k.startswith("loss_") and isinstance(v, Tensor) and v.requires_grad]
    return torch.stack([part.sum() for part in parts]).sum() if parts else None


def _compare(case: Case, name: str, output: Output, kind: str) -> list[str]:
    expected = case.arrays[name]
    factor = output.factor if isinstance(output, Stated) else 1.0
    value = output if isinstance(output, Tensor) else output.value
    found = value.detach().double().numpy() * factor
    if found.shape != expected.shape and found.size == expected.size == 1:
        found = found.reshape(expected.shape)
    if found.shape != expected.shape:
        return [f"{name}: shape {found.shape}, expected {expected.shape}"]
    relative, absolute = _tolerance(case, name, expected, kind)
    error = np.abs(found - expected.astype(np.float64))
    bad = ~(error <= relative * np.abs(expected.astype(np.float64)) + absolute)
    if isinstance(output, Differs):
        far = np.any(error > 1e-3 * np.abs(expected).max())
        return [] if far else [f"{name}: agrees with an original that should differ ({output.why})"]
    if not bad.any():
        return []
    worst = np.unravel_index(np.argmax(np.where(bad, error, -1.0)), error.shape)
    return [f"{name}{list(map(int, worst))}: {found[worst]:.10g}, expected {float(expected[worst]):.10g}"]


def _tolerance(case: Case, name: str, expected: np.ndarray[Any, Any], kind: str) -> tuple[float, float]:
    single = expected.dtype == np.float32 or case.dtype == torch.float32
    base = TOLERANCES["float32" if single else "float64"]
    relative, absolute = float(base[kind]), float(base["absolute"])
    exception = TOLERANCES.get("exceptions", {}).get(case.id)
    if exception and (name in exception.get("only", (name,))):
        relative = max(float(exception["relative"]), relative)
        absolute = max(float(exception.get("absolute", absolute)), absolute)
    return relative, absolute
