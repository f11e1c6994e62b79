"""Dotted paths into a configuration given as plain JSON values: `objective.terms.distill.lenses.0.value`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from foundation.errors import ConfigError


def get_path(config: Any, path: str) -> Any:
    """Returns the value at a path. Raises `ConfigError` that names the nearest existing path."""
    value = config
    for part in path.split("."):
        value = _child(config, value, part, path)
    return value


def set_path(config: Any, path: str, value: Any) -> None:
    """Puts a value at an existing path of a `plain_copy`, in place. Raises `ConfigError` like `get_path`."""
    parent, _, last = path.rpartition(".")
    place = get_path(config, parent) if parent else config
    _child(config, place, last, path)
    place[int(last) if isinstance(place, list) else last] = value


def plain_copy(config: Any) -> Any:
    """Returns a deep copy in which every mapping is a dict and every sequence a list, so that it can be changed."""
    if isinstance(config, Mapping):
        return {key: plain_copy(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [plain_copy(value) for value in config]
    return config


def all_paths(config: Any, prefix: str = "") -> Iterator[str]:
    """Yields every path of a configuration, inner ones too."""
    items: list[tuple[str, Any]] = []
    if isinstance(config, Mapping):
        items = [(str(key), value) for key, value in config.items()]
    elif isinstance(config, list | tuple):
        items = [(str(index), value) for index, value in enumerate(config)]
    for key, value in items:
        yield f"{prefix}{key}"
        yield from all_paths(value, f"{prefix}{key}.")


def _child(config: Any, value: Any, part: str, path: str) -> Any:
    if isinstance(value, Mapping) and part in value:
        return value[part]
    if isinstance(value, list | tuple) and part.isdecimal() and int(part) < len(value):
        return value[int(part)]
    known = list(all_paths(config))
    near = difflib.get_close_matches(path, known, n=1, cutoff=0.0)
    raise ConfigError(
        "The configuration has no such path.",
        expected="a path of the configuration",
        found=path,
        where=f"at {part!r}",
        next_step=f"did you mean {near[0]!r}?" if near else None,
    )


def with_settings(tree: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a copy of the tree with the settings put in, whole sections before their parts."""
    changed: dict[str, Any] = plain_copy(tree)
    for path in sorted(settings, key=lambda path: path.count(".")):
        set_path(changed, path, plain_copy(settings[path]))
    return changed
