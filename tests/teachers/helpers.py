"""Rows, guest functions and cache entries for the tests of teachers: the real ones, only small."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from foundation import registry
from foundation.registry import Guest
from teachers.build import LogitTeacher, context_for, load_teacher
from teachers.cache.cache import LabelCache
from teachers.cache.config import CacheConfig
from teachers.cache.entry import Entry
from teachers.cache.entry_key import entry_key
from teachers.config import TeacherConfig
from teachers.row_keys import row_keys


class SomeRows:
    """Implements `teachers.rows.Rows` over one numeric column `x` [N, D]."""

    def __init__(self, x: np.ndarray) -> None:
        self.x = np.asarray(x, np.float32)
        self.keys = row_keys({"x": self.x})

    def __len__(self) -> int:
        return len(self.x)

    def take(self, positions: np.ndarray) -> dict[str, np.ndarray]:
        return {"x": self.x[positions]}


class Fitting:
    """Implements `teachers.build.FittingSource`: every row, labelled by the sign of its first value."""

    def __init__(self, rows: SomeRows, names: tuple[str, str] = ("minus", "plus")) -> None:
        self.rows, self.names = rows, names

    def fitting_rows(self, split: str, label_column: str, classes: tuple[str, ...]) -> Any:
        labels = np.array([self.names[int(value > 0)] for value in self.rows.x[:, 0]])
        inputs, digest = {"x": self.rows.x}, f"{split}/{label_column}"
        return type("Labelled", (), {"inputs": inputs, "labels": labels, "digest": digest})()


def some_rows(count: int = 20, width: int = 3, seed: int = 0) -> SomeRows:
    return SomeRows(np.random.Generator(np.random.Philox(seed)).normal(size=(count, width)))


def install(kind: str, name: str, body: str) -> None:
    """Installs a guest plug-in from text."""
    registry.install((Guest(kind, name, f"/guest/{name}.py", f'KIND = "{kind}"\n' + textwrap.dedent(body)),))


def function_teacher(name: str, body: str, classes: tuple[str, ...] = ("a", "b", "c"), **options: Any) -> LogitTeacher:
    """A loaded teacher of kind `function`; `body` defines VERSION and answer."""
    install("function", name, body)
    config = TeacherConfig.model_validate({"backend": {"kind": "function", "function": name, **options}})
    return load_teacher(name, config, context_for(name, config, classes, Path(".")))


def entry_for(teacher: LogitTeacher, folder: Path, dtype: str = "fp16") -> Entry:
    config = CacheConfig.model_validate({"root": "cache", "codec": {"kind": "dense", "dtype": dtype}})
    return LabelCache.open(config, folder).entry(entry_key(teacher.card, config.codec))
