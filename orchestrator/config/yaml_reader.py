"""Reads a YAML 1.2 file into plain values and remembers the line and column of every key and value.

Safe by what it leaves out: no tags, no anchors, no aliases, no merge keys, one document, unique keys, at most 1 MiB
and 64 levels. Depth and size are checked on the event stream, before anything is composed, so a hostile file is
refused in milliseconds. Scalars follow `scalars.py`. Whether the values make sense is for the models to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from foundation.errors import ConfigError
from foundation.problems import Key, Problem, dotted
from foundation.words import plain_text
from orchestrator.config.scalars import ScalarError, resolve

MAX_BYTES = 1 << 20
MAX_LEVELS = 64
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # events only; its constructors are never reached


class Unusable:
    """Stands where a value could not be read; problems inside it are follow-ups and stay untold."""

    def __repr__(self) -> str:
        return "<unusable>"


UNUSABLE = Unusable()


@dataclass(frozen=True)
class Place:
    """Line and column, both from 1."""

    line: int
    column: int


@dataclass
class Document:
    """A file's values, the place of every key and value by path, and what was wrong with its form."""

    name: str
    values: Any = None
    keys: dict[Key, Place] = field(default_factory=dict)
    starts: dict[Key, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def where(self, path: Key, *, key: bool = False) -> str:
        """Returns `file:line:column` of the value at `path` (of its key with `key`), or of the nearest parent."""
        while True:
            first, second = (self.keys, self.starts) if key else (self.starts, self.keys)
            if place := first.get(path) or second.get(path):
                return f"{self.name}:{place.line}:{place.column}"
            if not path:
                return self.name
            path, key = path[:-1], True


def read_file(path: Path) -> tuple[Document, str]:
    """Returns the document and its text. Raises `ConfigError` when the file can't be read at all."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        step = "write one with `raydistill init`" if isinstance(error, FileNotFoundError) else None
        raise ConfigError(
            "The configuration can't be read.", found=reason, where=plain_text(str(path)), next_step=step
        ) from None
    except ValueError:
        raise ConfigError("The configuration's path is no path.", where=plain_text(str(path))) from None
    if len(data) > MAX_BYTES:
        raise ConfigError("The configuration is too large.", expected="at most 1 MiB", where=plain_text(str(path)))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            "The configuration is not UTF-8 text.", found=f"byte {error.start}", where=plain_text(str(path))
        ) from None
    return read_text(text, plain_text(str(path))), text


def read_text(text: str, name: str) -> Document:
    """Returns the document in `text`; `name` is used in places. Raises `ConfigError` when the form is broken."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:  # lone surrogates, as they come from a command line of other encoding
        found = f"character {error.start}"
        raise ConfigError("The configuration is not UTF-8 text.", found=found, where=name) from None
    if size > MAX_BYTES:
        raise ConfigError("The configuration is too large.", expected="at most 1 MiB", where=name)
    reader = _Reader(Document(name))
    reader.events = _bounded(text, name)
    try:
        reader.document()
    except yaml.YAMLError as error:
        raise _syntax(error, name) from None
    return reader.out


def _bounded(text: str, name: str) -> Iterator[yaml.Event]:
    level = 0
    for event in yaml.parse(text, Loader=_PARSER):
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            level += 1
            if level > MAX_LEVELS:
                where = f"{name}:{event.start_mark.line + 1}:{event.start_mark.column + 1}"
                raise ConfigError("The configuration is nested too deep.", expected="at most 64 levels", where=where)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            level -= 1
        yield event


def _syntax(error: yaml.YAMLError, name: str) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark is not None else name
    reason = plain_text(str(getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"))
    return ConfigError(
        "The configuration is not valid YAML.",
        found=reason,
        where=where,
        next_step="check the indentation, brackets and quotes at and just before this place",
    )


@dataclass
class _Reader:
    """Recursive descent over the events; at most `MAX_LEVELS` deep."""

    out: Document
    events: Iterator[yaml.Event] = field(default_factory=lambda: iter(()))

    def document(self) -> None:
        next(self.events)  # stream start
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            raise ConfigError("The configuration is empty.", where=self.out.name, next_step="see `raydistill init`")
        event = next(self.events)
        self.out.values = self._node(event, ())
        next(self.events)  # document end
        if not isinstance(next(self.events), yaml.StreamEndEvent):
            raise ConfigError("The file holds several YAML documents.", expected="one", where=self.out.name)

    def _node(self, event: yaml.Event, path: Key) -> Any:
        self.out.starts[path] = place = Place(event.start_mark.line + 1, event.start_mark.column + 1)
        usable = True
        if isinstance(event, yaml.AliasEvent):
            self._problem(path, place, "no aliases", "an alias", "write the value out")
            return UNUSABLE
        if getattr(event, "anchor", None) is not None:
            self._problem(path, place, "no anchors", "an anchor", "remove it and write the value out where it is used")
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._problem(path, place, "no tags", "a tag", "remove it; quotes make text, `kind:` picks a plug-in")
            usable = False
        value = self._value(event, path, place)
        return value if usable else UNUSABLE

    def _value(self, event: yaml.Event, path: Key, place: Place) -> Any:
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        if not isinstance(event, yaml.ScalarEvent):
            raise ConfigError("The configuration is not valid YAML.", where=self.out.name)
        if event.style:  # any quoted or block form is text
            return event.value
        try:
            return resolve(event.value)
        except ScalarError as error:
            self._problem(
                path, place, error.expected, error.found, "write a finite number, or quote it to make it text"
            )
            return UNUSABLE

    def _sequence(self, path: Key) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
        return items

    def _mapping(self, path: Key) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            place = Place(event.start_mark.line + 1, event.start_mark.column + 1)
            if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
                self._problem(path, place, "a plain name as key", "something else", "use a simple word as key")
                self._skip(event)
                self._skip(next(self.events))
                continue
            name = event.value  # as written: the key `012` is the text "012"
            here = (*path, name)
            if name in result:
                known = self.out.keys[here]
                step = f"it is set at line {known.line} already; keep one of them"
                self._problem(here, place, "each key once", "the key a second time", step)
                self._skip(next(self.events))
                continue
            self.out.keys[here] = place
            result[name] = self._node(next(self.events), here)
        return result

    def _skip(self, event: yaml.Event) -> None:
        level = 0
        while True:
            if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                level += 1
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                level -= 1
            if level == 0:
                return
            event = next(self.events)

    def _problem(self, path: Key, place: Place, expected: str, found: str, step: str) -> None:
        where = f"{self.out.name}:{place.line}:{place.column}"
        self.out.problems.append(Problem(where, dotted(path), expected, found, step))
