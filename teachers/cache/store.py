"""Contract of a store: named objects that are written once.

A store is one file in `teachers/cache/stores/` (file name = scheme of the location; paths are `local`) with
`open_store(location, options) -> Store`. Names are relative, joined by '/', and always built by `layout.py` from
digests and numbers: a name read from stored data never becomes a path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from foundation import registry
from foundation.errors import PluginError, StorageError


@dataclass(frozen=True)
class Stat:
    """What a store can say about an object without reading it; equal values mean "nobody has touched it"."""

    size: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True)
class Blob:
    """Bytes of an object, and the `Stat` of exactly the object they came from."""

    data: memoryview
    stat: Stat


class Store(Protocol):
    """Objects by name. Every method raises `StorageError` (or a child) for anything but the outcomes named here."""

    @property
    def location(self) -> str: ...

    def fetch(self, name: str) -> Blob | None:
        """Returns a copy of the object in memory, or None when there is none."""
        ...

    def open_map(self, name: str) -> Blob | None:
        """Like `fetch`, but mapped where the store can: pages are read when touched."""
        ...

    def put_if_absent(self, name: str, data: bytes) -> bool:
        """Makes the object durable under its name in one step; False when the name is taken. Never overwrites."""
        ...

    def list(self, folder: str) -> list[str]:
        """Returns the names of the objects and folders directly in `folder`, sorted, without temporary ones."""
        ...

    def stat(self, name: str) -> Stat | None: ...

    def move(self, name: str, to: str) -> bool:
        """Moves an object to a free name; False when it's not there (any more). Used for quarantine only."""
        ...

    def delete(self, name: str) -> None:
        """Removes an object; nothing happens when there is none."""
        ...


def open_store(location: str) -> Store:
    """Opens the store of a location: a path, or `scheme://...` for the plug-in named like the scheme."""
    scheme, found, _ = location.partition("://")
    kind = scheme if found else "local"
    try:
        module = registry.load("store", kind)
    except PluginError as error:
        raise StorageError(
            "There is no store for this location.", expected=error.expected, found=kind, where=location
        ) from error
    store: Store = module.open_store(location, {})
    return store
