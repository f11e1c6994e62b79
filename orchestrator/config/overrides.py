"""`--set a.b=c`: one value of a configuration, changed from the command line.

The path is dotted, list entries by number; the value is YAML (`3`, `0.5`, `[1, 2]`, `{kind: uniform}`). A path may
end in a key that isn't written in the file, as long as everything above it is a mapping; whether the key exists is
for the models to say, with the same message as for the file.
"""

from __future__ import annotations

import copy
from typing import Any

from foundation.errors import ConfigError
from foundation.problems import Key, Problem, dotted
from foundation.words import plain_text
from orchestrator.config.yaml_reader import read_text

_SOURCE = "--set"


def apply_sets(values: Any, sets: list[str]) -> tuple[Any, dict[Key, str], list[Problem]]:
    """Returns changed values, the origin of each changed path (`--set a.b`), and what was wrong with the settings."""
    values = copy.deepcopy(values)
    origins: dict[Key, str] = {}
    problems: list[Problem] = []
    for text in sets:
        name, equals, raw = text.partition("=")
        origin = f"{_SOURCE} {plain_text(name.strip())}"
        if not equals or not name.strip():
            # The text may be a secret pasted in the wrong place: it isn't shown.
            problems.append(Problem(_SOURCE, "", "path=value", "no path or no `=`", "write --set train.epochs=10"))
            continue
        try:
            document = read_text(raw if raw.strip() else "null", origin)
        except ConfigError as error:
            found = error.found or error.summary
            problems.append(Problem(origin, "", "a YAML value", found, "quote it for the shell, e.g. 'a.b=[1, 2]'"))
            continue
        problems += document.problems
        problem, path = _put(values, name.strip().split("."), document.values, origin)
        if problem is not None:
            problems.append(problem)
        else:
            origins = {known: where for known, where in origins.items() if known[: len(path)] != path}
            origins[path] = origin
    return values, origins, problems


def _put(values: Any, parts: list[str], value: Any, origin: str) -> tuple[Problem | None, Key]:
    path: list[str | int] = []
    current = values
    for index in range(len(parts)):
        last = index == len(parts) - 1
        key = _key(current, parts, index)
        if isinstance(key, Problem):
            return Problem(origin, dotted(path), key.expected, key.found, key.next_step), tuple(path)
        path.append(key)
        if last:
            current[key] = value
        elif isinstance(current, dict) and current.get(str(key)) is None:
            current[key] = {}
        current = current[key]
    return None, tuple(path)


def _key(current: Any, parts: list[str], index: int) -> str | int | Problem:
    part = parts[index]
    if isinstance(current, list):
        if part.isdecimal() and len(part) < 10 and int(part) < len(current):
            return int(part)
        has = f"0 to {len(current) - 1}" if current else "none, the list is empty"
        return Problem("", "", f"the number of a list entry ({has})", "another word", "count entries from 0")
    if not isinstance(current, dict):
        return Problem("", "", "a mapping or a list", "a single value", "set the value itself, or the mapping above it")
    return part
