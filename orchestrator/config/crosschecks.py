"""What no single section can know: names that must exist in another section, and rows that must stay apart.

The checks work on the plain tree, with or without defaults, and skip whatever isn't there or has another form; so
they can run beside the models' own complaints and a user sees everything at once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from foundation import registry
from foundation.problems import Key
from foundation.words import nearest, plain_text

ALL_ROWS = "all"


@dataclass(frozen=True)
class Finding:
    """A problem at a path of the tree; `on_key` when the key itself is wrong."""

    path: Key
    expected: str
    found: str
    next_step: str
    on_key: bool = False


def cross_check(tree: Mapping[str, Any], valid: frozenset[str]) -> list[Finding]:
    """Returns all findings. `valid` names the sections whose models accepted them (their defaults are filled in)."""
    return [finding for check in CHECKS for finding in check(tree, valid)]


def at(tree: Any, *path: str | int) -> Any:
    """Returns the value at `path`, or None."""
    for part in path:
        if isinstance(tree, Mapping) and part in tree:
            tree = tree[part]
        elif isinstance(tree, list | tuple) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return None
    return tree


def _mapping(tree: Any, *path: str | int) -> Mapping[str, Any]:
    value = at(tree, *path)
    return value if isinstance(value, Mapping) else {}


def _texts(tree: Any, *path: str | int) -> list[tuple[int, str]]:
    value = at(tree, *path)
    return [(index, str(item)) for index, item in enumerate(value)] if isinstance(value, list | tuple) else []


def _kind(value: Any) -> str | None:
    """The `kind` of a plug-in field, also in its short form."""
    return value if isinstance(value, str) else at(value, "kind")


def _unknown(path: Key, what: str, name: str, known: Iterable[str], *, on_key: bool = False) -> Finding:
    names = list(known)
    near = nearest(name, names)
    step = f"did you mean {near!r}?" if near else f"known: {', '.join(names) or 'none'}"
    return Finding(path, f"the name of a {what}", plain_text(name), step, on_key)


def _sets(tree: Mapping[str, Any]) -> list[str]:
    return [*_mapping(tree, "data", "splits"), ALL_ROWS]


def row_sets_exist(tree: Mapping[str, Any], valid: frozenset[str]) -> Iterator[Finding]:
    """Every row set that is used is declared in `data.splits`."""
    known = _sets(tree)
    uses: list[tuple[Key, Any, bool]] = [
        (("label", "rows", index), name, False) for index, name in _texts(tree, "label", "rows")
    ]
    uses += [
        (("teachers", name, "fit", "rows"), at(tree, "teachers", name, "fit", "rows"), False)
        for name in _mapping(tree, "teachers")
    ]
    uses += [
        (("objective", "terms", name, "rows"), at(tree, "objective", "terms", name, "rows"), False)
        for name in _mapping(tree, "objective", "terms")
    ]
    uses += [(("train", "batch", name), name, True) for name in _mapping(tree, "train", "batch")]
    uses += [(("search", "score", "rows"), at(tree, "search", "score", "rows"), False)]
    uses += [(("compare", "test"), at(tree, "compare", "test"), False)]
    for path, name, on_key in uses:
        if isinstance(name, str) and name not in known:
            yield _unknown(path, "row set", name, known, on_key=on_key)


def teacher_names_exist(tree: Mapping[str, Any], valid: frozenset[str]) -> Iterator[Finding]:
    """Weights, per-teacher temperatures and the oracle name teachers that exist."""
    known = list(_mapping(tree, "teachers"))
    for term in _mapping(tree, "objective", "terms"):
        path: Key = ("objective", "terms", term, "weighting", "weights")
        for name in _mapping(tree, *path):
            if name not in known:
                yield _unknown((*path, name), "teacher", name, known, on_key=True)
    for index, name in _texts(tree, "compare", "oracle", "drop"):
        if name not in known:
            yield _unknown(("compare", "oracle", "drop", index), "teacher", name, known)


def guests_are_given(tree: Mapping[str, Any], valid: frozenset[str]) -> Iterator[Finding]:
    """Functions and modules that teachers and the student refer to came with `--plugin`."""
    users: list[Key] = [("teachers", name, "backend") for name in _mapping(tree, "teachers")]
    for path in [*users, ("student",)]:
        for kind in ("function", "module"):
            name = at(tree, *path, kind)
            if isinstance(name, str) and name not in (known := registry.names(kind)):
                near = nearest(name, known)
                step = f"did you mean {near!r}?" if near else "give its file with --plugin FILE"
                yield Finding((*path, kind), f"the name of a {kind} plug-in", plain_text(name), step)


def groups_are_kept(tree: Mapping[str, Any], valid: frozenset[str]) -> Iterator[Finding]:
    """The groups of a score are a side column."""
    group, side = at(tree, "search", "score", "group"), [name for _, name in _texts(tree, "data", "side")]
    if isinstance(group, str) and group not in side:
        near = nearest(group, side)
        step = f"did you mean {near!r}?" if near else f"add it: `side: [{', '.join([*side, plain_text(group)])}]`"
        yield Finding(("search", "score", "group"), "a column of data.side", plain_text(group), step)


def weights_say_something(tree: Mapping[str, Any], valid: frozenset[str]) -> Iterator[Finding]:
    """Fixed weights are not all zero."""
    for term in _mapping(tree, "objective", "terms"):
        path: Key = ("objective", "terms", term, "weighting", "weights")
        weights = _mapping(tree, *path)
        if weights and all(value == 0 for value in weights.values()):
            yield Finding(path, "a weight above 0", "zeros only", "give at least one teacher a weight")


def classes_are_known(tree: Mapping[str, Any], valid: frozenset[str]) -> Iterator[Finding]:
    """A teacher's classes are among `data.classes`, each once."""
    known = [name for _, name in _texts(tree, "data", "classes")]
    for teacher in _mapping(tree, "teachers"):
        seen: set[str] = set()
        for index, name in _texts(tree, "teachers", teacher, "classes"):
            path: Key = ("teachers", teacher, "classes", index)
            if known and name not in known:
                yield _unknown(path, "class in data.classes", name, known)
            if name in seen:
                yield Finding(path, "each class once", plain_text(name), "remove the second one")
            seen.add(name)


def fitting_rows_stay_apart(tree: Mapping[str, Any], valid: frozenset[str]) -> Iterator[Finding]:
    """Rows a teacher is fitted on are not rows it labels, and not the rows of the report."""
    used = {name for _, name in _texts(tree, "label", "rows")} | {str(at(tree, "compare", "test"))}
    for teacher in _mapping(tree, "teachers"):
        rows = at(tree, "teachers", teacher, "fit", "rows")
        if isinstance(rows, str) and (rows in used or rows == ALL_ROWS):
            step = "fit on a row set of its own; `data.disjoint` then checks that they share no content"
            yield Finding(
                ("teachers", teacher, "fit", "rows"), "rows that are not labelled or tested", plain_text(rows), step
            )


def labels_are_there(tree: Mapping[str, Any], valid: frozenset[str]) -> Iterator[Finding]:
    """Cross-entropy needs labels."""
    if at(tree, "data", "label") is not None or not _mapping(tree, "data"):
        return
    for term in _mapping(tree, "objective", "terms"):
        if _kind(at(tree, "objective", "terms", term, "method")) == "cross_entropy":
            step = "set data.label to the column of class names, or remove the term"
            yield Finding(
                ("objective", "terms", term, "method"), "a method that needs no labels", "cross_entropy", step
            )


def signals_can_be_given(tree: Mapping[str, Any], valid: frozenset[str]) -> Iterator[Finding]:
    """A run gives its terms logits and labels; losses on features or tokens, and meta weightings, need more."""
    for term in _mapping(tree, "objective", "terms"):
        method = _kind(at(tree, "objective", "terms", term, "method"))
        path: Key = ("objective", "terms", term, "method")
        if method in registry.names("method"):
            first = next(iter(inspect.signature(registry.load("method", str(method)).loss).parameters))
            if first == "batch":
                step = "a run can't cache what this loss compares; choose a loss on logits: `raydistill plugins method`"
                yield Finding(path, "a method on logits or labels", str(method), step)
        weighting = _kind(at(tree, "objective", "terms", term, "weighting"))
        path = ("objective", "terms", term, "weighting")
        if weighting in registry.names("weighting"):
            more = set(getattr(registry.load("weighting", str(weighting)), "SEES", ())) - {"student"}
            if more:
                step = "it needs a meta step, which a run can't take yet; see `raydistill plugins weighting`"
                yield Finding(path, "a weighting of teachers, labels and student", str(weighting), step)


def batch_has_every_stream(tree: Mapping[str, Any], valid: frozenset[str]) -> Iterator[Finding]:
    """`train.batch` gives rows per step for exactly the row sets the terms use."""
    terms, batch = _mapping(tree, "objective", "terms"), at(tree, "train", "batch")
    if not isinstance(batch, Mapping) or not terms:
        return
    used = {rows for name in terms if isinstance(rows := at(terms, name, "rows"), str)}
    for rows in sorted(used - set(batch)):
        step = f"add `{plain_text(rows)}: 64` (rows of it per step)"
        yield Finding(("train", "batch"), f"a number for {plain_text(rows)!r}, which a term trains on", "none", step)
    for rows in [name for name in batch if name not in used and name in _sets(tree)]:
        yield Finding(
            ("train", "batch", rows), "a row set that a term trains on", plain_text(str(rows)), "remove it", True
        )


def test_rows_are_kept(tree: Mapping[str, Any], valid: frozenset[str]) -> Iterator[Finding]:
    """The row set of the report is neither trained on nor searched on."""
    test = at(tree, "compare", "test")
    uses: list[Key] = [("objective", "terms", name, "rows") for name in _mapping(tree, "objective", "terms")]
    for path in [*uses, ("search", "score", "rows")]:
        if isinstance(test, str) and at(tree, *path) == test:
            yield Finding(path, "rows other than compare.test", plain_text(test), "keep the test rows for the report")


def space_paths_exist(tree: Mapping[str, Any], valid: frozenset[str]) -> Iterator[Finding]:
    """Every path of the search space leads to a value of the configuration."""
    for name in _mapping(tree, "search", "space"):
        here: Any = tree
        parts = str(name).split(".")
        for index, part in enumerate(parts):
            key: str | int = (
                int(part) if isinstance(here, list | tuple) and part.isdecimal() and len(part) < 10 else part
            )
            if at(here, key) is None and not (isinstance(here, Mapping) and key in here):
                if index and parts[0] not in valid:
                    break  # the section's own problems come first
                yield _path_finding(str(name), parts[:index], here)
                break
            here = at(here, key)
            if index == 0 and part not in ("objective", "train", "student"):
                step = "vary something under objective, train or student"
                yield Finding(("search", "space", name), "a path that training reads", plain_text(part), step, True)
                break


def _path_finding(name: str, before: list[str], here: Any) -> Finding:
    known = (
        list(here)
        if isinstance(here, Mapping)
        else [str(i) for i in range(len(here))]
        if isinstance(here, list | tuple)
        else []
    )
    candidates = [".".join([*before, str(key), *name.split(".")[len(before) + 1 :]]) for key in known]
    near = nearest(name, candidates)
    above = ".".join(before) or "the configuration"
    step = f"did you mean {near!r}?" if near else f"{plain_text(above)} has: {', '.join(known) or 'a single value'}"
    return Finding(("search", "space", name), "a path of this configuration", plain_text(name), step, True)


Check = Callable[[Mapping[str, Any], frozenset[str]], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    row_sets_exist,
    teacher_names_exist,
    guests_are_given,
    groups_are_kept,
    weights_say_something,
    classes_are_known,
    fitting_rows_stay_apart,
    labels_are_there,
    signals_can_be_given,
    batch_has_every_stream,
    test_rows_are_kept,
    space_paths_exist,
)
