"""File name = plug-in name.

A room is a package whose modules are plug-ins of one kind. A module is imported when it is first chosen, never
before. Guests use the same door: a file given with `--plugin FILE` (it names its own kind in `KIND`), or an entry
point in the group `raydistill.<kind>`. Guests travel to workers as source text, so a worker needs no shared disk.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from foundation.errors import PluginError
from foundation.fingerprint import digest

ROOMS: dict[str, str] = {
    "backend": "teachers.backends",
    "codec": "teachers.cache.codecs",
    "store": "teachers.cache.stores",
    "source": "pipelines.data.sources",
    "method": "pipelines.methods",
    "fusion": "pipelines.fusions",
    "weighting": "pipelines.weightings",
    "lens": "pipelines.lenses",
    "metric": "pipelines.metrics",
    "student": "pipelines.students",
    # Kinds without built-ins: a guest's own function that answers as a teacher, a guest's own torch module.
    "function": "",
    "module": "",
}
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


@dataclass(frozen=True)
class Guest:
    """A user's plug-in file, complete: it can be sent to another process and installed there."""

    kind: str
    name: str
    path: str
    source: str

    @property
    def digest(self) -> str:
        return digest(self.source.encode())


_guests: dict[tuple[str, str], Guest] = {}
_modules: dict[tuple[str, str], ModuleType] = {}


def names(kind: str) -> list[str]:
    """All plug-in names of a kind, sorted; imports none of them."""
    found = {name for guest_kind, name in _guests if guest_kind == kind} | set(_entry_points(kind))
    if room := _room(kind):
        package = importlib.import_module(room)
        found |= {info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_")}
    return sorted(found)


def load(kind: str, name: str) -> ModuleType:
    """Imports the plug-in `name` of `kind`. Raises `PluginError` that names the nearest known one."""
    key = (kind, name)
    if key not in _modules:
        _modules[key] = _import(kind, name)
    return _modules[key]


def origin(kind: str, name: str) -> str:
    """Where a plug-in comes from: 'built-in', a guest's path, or an entry point."""
    if guest := _guests.get((kind, name)):
        return guest.path
    return _entry_points(kind).get(name, "built-in")


def add_guest_file(path: Path) -> Guest:
    """Reads and installs a user's plug-in file. Raises `PluginError` if it can't be one."""
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PluginError("A plug-in file can't be read.", found=error, where=path) from error
    match = re.search(r"^KIND\s*(?::[^=]+)?=\s*[\"']([a-z_]+)[\"']", source, re.MULTILINE)
    if match is None:
        raise PluginError(
            "A plug-in file must say its kind.",
            expected='a line such as KIND = "method"',
            where=path,
            next_step=f"add KIND, one of: {', '.join(ROOMS)}",
        )
    guest = Guest(match.group(1), path.stem, str(path.resolve()), source)
    install((guest,))
    return guest


def install(guests: tuple[Guest, ...]) -> None:
    """Makes guests choosable in this process; called on every worker before a configuration is read."""
    for guest in guests:
        _room(guest.kind)
        if not _NAME.match(guest.name):
            raise PluginError("A plug-in's file name must be a plain lower-case name.", found=guest.name)
        known = _guests.get((guest.kind, guest.name))
        if known == guest:
            continue
        if known is not None or (_room(guest.kind) and guest.name in names(guest.kind)):
            raise PluginError("A plug-in of this kind and name exists already.", found=guest.name, where=guest.path)
        _guests[guest.kind, guest.name] = guest


def guests() -> tuple[Guest, ...]:
    """All guests of this process, in a stable order."""
    return tuple(_guests[key] for key in sorted(_guests))


def _room(kind: str) -> str:
    if kind not in ROOMS:
        raise PluginError("Unknown kind of plug-in.", expected=", ".join(ROOMS), found=kind)
    return ROOMS[kind]


def _entry_points(kind: str) -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group=f"raydistill.{kind}")}


def _import(kind: str, name: str) -> ModuleType:
    known = names(kind)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        step = f"did you mean {near[0]!r}?" if near else "give your own file with --plugin FILE"
        raise PluginError(f"Unknown {kind}.", expected=", ".join(known) or "a guest", found=repr(name), next_step=step)
    if guest := _guests.get((kind, name)):
        return _execute(guest)
    if name in (points := _entry_points(kind)):
        return importlib.import_module(points[name].partition(":")[0])
    return importlib.import_module(f"{ROOMS[kind]}.{name}")


def _execute(guest: Guest) -> ModuleType:
    module = ModuleType(f"raydistill_guest_{guest.kind}_{guest.name}")
    module.__file__ = guest.path
    sys.modules[module.__name__] = module
    try:
        exec(compile(guest.source, guest.path, "exec"), module.__dict__)  # the user named this file on the command line
    except Exception as error:
        del sys.modules[module.__name__]
        raise PluginError("A plug-in file failed while it was loaded.", found=repr(error), where=guest.path) from error
    return module
