"""Turns what pydantic found wrong into sentences a user can act on: place, key, expected, found, way out.

Every problem is told at once. A value is shown only where it helps and can't be a secret: numbers, booleans, and
short words where a fixed set of words was expected, never under a key that sounds like a secret, never under an
unknown key. Errors of plug-in options (`foundation.plugin_field`) are unfolded, so they keep their full place.
Where a key stands in a file is told by the caller through `locate`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from foundation.model_walk import known_keys
from foundation.plugin_field import OptionsError
from foundation.words import nearest, plain_text, secret_like

Key = tuple[str | int, ...]
Locate = Callable[[Key, bool], str]  # (path, whether its key rather than its value is meant) -> file:line:column

_TYPES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    dict: "a mapping",
    list: "a list",
}
_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "none_required": "nothing (null)",
    "dict_type": "a mapping (key: value)",
    "mapping_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "finite_number": "a finite number",
    "missing": "a value",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "string_pattern_mismatch": "text that matches `{pattern}`",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
    "union_tag_invalid": "{expected_tags}",
    "union_tag_not_found": "a mapping with `kind`",
    "literal_error": "{expected}",
    "enum": "{expected}",
}
_ABOUT_KIND = {"union_tag_invalid", "plugin_unknown"}
_SHOWS_WORD = {"literal_error", "enum", *_ABOUT_KIND}
_MAX_SHOWN = 40


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a configuration; `str()` is one line. A rule of a whole section has `expected` alone."""

    where: str
    key: str
    expected: str
    found: str
    next_step: str

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        if not self.found:
            return f"{self.where}: {key}{self.expected}"
        return f"{self.where}: {key}expected {self.expected}, found {self.found}; {self.next_step}"


def problems_of(
    error: ValidationError, data: Any, locate: Locate, model: type[BaseModel] | None = None
) -> list[Problem]:
    """Returns every problem in `error`, in the order of the file's keys as far as pydantic keeps it.

    Args:
        error: what validating `data` raised.
        data: the plain values that were validated; used to tell keys from pydantic's own marks in a location.
        locate: place of a path in the user's file.
        model: the validated model, for the nearest known key.
    """
    return list(_merged(_unfold(error, data, (), locate, model)))


def dotted(path: Iterable[str | int]) -> str:
    """Returns a path as the user writes it in `--set`; control characters are escaped."""
    return ".".join(plain_text(str(part)) for part in path)


def type_words(value: Any) -> str:
    """The type of a plain value in plain words."""
    return "nothing" if value is None else _TYPES.get(type(value), "something else")


def _unfold(
    error: ValidationError, data: Any, prefix: Key, locate: Locate, model: type[BaseModel] | None
) -> Iterable[Problem]:
    for item in error.errors(include_url=False):
        path, value = _walk(data, item["loc"], item["type"])
        inner = item.get("ctx", {}).get("error")
        if isinstance(inner, OptionsError):
            nested = {"kind": value} if isinstance(value, str) else value
            yield from _unfold(inner.error, nested, (*prefix, *path), locate, inner.model)
        elif isinstance(inner, ValidationError):
            yield from _unfold(inner, value, (*prefix, *path), locate, None)
        else:
            yield _problem(dict(item), prefix, path, value, locate, model)


def _walk(data: Any, location: tuple[int | str, ...], kind: str) -> tuple[Key, Any]:
    """Follows a pydantic location through the data; parts that are no key there (names of union branches) drop out."""
    path: list[str | int] = []
    for index, part in enumerate(location):
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(data, list | tuple) and isinstance(part, int) and part < len(data):
            data = data[part]
        elif not (kind == "missing" and index == len(location) - 1):
            continue
        path.append(part)
    return tuple(path), data


def _problem(
    item: dict[str, Any], prefix: Key, path: Key, value: Any, locate: Locate, model: type[BaseModel] | None
) -> Problem:
    full = (*prefix, *path)
    kind = item["type"]
    if kind == "extra_forbidden":
        known = known_keys(model, path[:-1]) if model else []
        near = nearest(str(path[-1]) if path else "", known)
        step = f"did you mean {near!r}?" if near else f"known keys: {', '.join(known)}" if known else "remove it"
        return Problem(locate(full, True), dotted(full), "a known key", "an unknown one", step)
    if kind == "missing":
        step = f"add `{dotted(full[-1:])}:` here"
        return Problem(locate(full[:-1], True), dotted(full), "a value", "no such key", step)
    if kind in _ABOUT_KIND and isinstance(value, dict) and "kind" in value:
        full, value = (*full, "kind"), value["kind"]
    expected, step = _expected(item, value, kind)
    if kind == "value_error" and isinstance(value, dict):
        return Problem(locate(full, False), dotted(full), expected, "", "")
    found = _shown(value, full, kind)
    return Problem(locate(full, item["loc"][-1:] == ("[key]",)), dotted(full), expected, found, step)


def _expected(item: dict[str, Any], value: Any, kind: str) -> tuple[str, str]:
    context = item.get("ctx", {})
    if kind == "plugin_unknown":
        return str(context.get("expected", "a known plug-in")), str(context.get("step", "see `raydistill plugins`"))
    if kind in _EXPECTED:
        expected = _EXPECTED[kind].format_map({name: str(part) for name, part in context.items()})
        if kind in _SHOWS_WORD and isinstance(value, str):
            words = re.findall(r"'([^']*)'", expected)
            if near := nearest(value, words):
                return expected, f"did you mean {near!r}?"
        return expected, f"write {expected}" if kind not in _SHOWS_WORD else "write one of these"
    message = str(item["msg"])
    for start in ("Value error, ", "Assertion failed, "):
        message = message.removeprefix(start)
    return plain_text(message.removeprefix("expected ")), str(context.get("step", "see `raydistill schema --markdown`"))


def _shown(value: Any, path: Key, kind: str) -> str:
    if value is not None and not secret_like(path):
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int | float):
            return plain_text(str(value))
        if isinstance(value, str) and kind in _SHOWS_WORD and len(value) <= _MAX_SHOWN:
            return repr(plain_text(value))
    return type_words(value)


def _merged(problems: Iterable[Problem]) -> Iterable[Problem]:
    """Branches of a union each complain about the same key: told once, with what any of them expected."""
    found: dict[tuple[str, str, str], Problem] = {}
    for problem in problems:
        key = (problem.where, problem.key, problem.found)
        if (known := found.get(key)) and problem.expected not in known.expected.split(" or "):
            expected = f"{known.expected} or {problem.expected}"
            problem = Problem(problem.where, problem.key, expected, problem.found, known.next_step)
        elif known:
            continue
        found[key] = problem
    return found.values()
