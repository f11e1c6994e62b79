"""Classes are matched by name: where a teacher's columns lie among the data's classes."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from foundation.errors import ConfigError


def class_columns(classes: Sequence[str], teacher: str, teacher_classes: Sequence[str]) -> list[int]:
    """Returns for each of a teacher's columns its place among the data's classes.

    Raises `ConfigError` when the teacher has a class that the data don't have, or one twice.
    """
    place = {name: index for index, name in enumerate(classes)}
    for name in teacher_classes:
        if name not in place:
            near = difflib.get_close_matches(name, list(classes), n=1)
            raise ConfigError(
                "A teacher knows a class that the data don't have.",
                expected=", ".join(classes),
                found=name,
                where=f"teacher {teacher}",
                next_step=f"did you mean {near[0]!r}?" if near else "correct `classes` of the teacher or of the data",
            )
    if len(set(teacher_classes)) != len(teacher_classes):
        raise ConfigError("A teacher has a class twice.", found=", ".join(teacher_classes), where=f"teacher {teacher}")
    return [place[name] for name in teacher_classes]


def class_mask(columns: Mapping[str, Sequence[int]], classes: int) -> Tensor:
    """Returns which classes each teacher knows, bool [K, C], in the order of the mapping."""
    mask_KC = torch.zeros(len(columns), classes, dtype=torch.bool)
    for index, known in enumerate(columns.values()):
        mask_KC[index, list(known)] = True
    return mask_KC
