"""Follows a path of keys through the types of configuration models, to know which keys are allowed where."""

from __future__ import annotations

import types
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel


def known_keys(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """Returns the field names allowed in the mapping at `path` inside `model`, sorted; empty when any key is."""
    current: list[Any] = [model]
    for part in path:
        current = [step for annotation in current for step in _step(annotation, part)]
    return sorted({name for annotation in current for kind in _models(annotation) for name in kind.model_fields})


def _step(annotation: Any, part: str | int) -> list[Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _step(arguments[0], part)
    if origin in (Union, types.UnionType):
        return [step for branch in arguments for step in _step(branch, part)]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(part))
        return [field.annotation] if field else []
    if origin is dict and isinstance(part, str):
        return [arguments[1]]
    if origin is not None and isinstance(part, int) and arguments:
        return [arguments[0]]
    return []


def _models(annotation: Any) -> list[type[BaseModel]]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _models(arguments[0])
    if origin in (Union, types.UnionType):
        return [model for branch in arguments for model in _models(branch)]
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
