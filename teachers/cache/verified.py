"""Which shards this host has verified already: (name, size, mtime_ns, inode) of each, one line per shard.

Later opens trust a remembered shard. A flip that leaves all four unchanged is therefore found only by a paranoid
reader, which doesn't ask. The memory is a convenience: where it can't be written, shards are hashed again.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from foundation.fingerprint import digest
from teachers.cache.store import Stat, Store

FOLDER = ".verified"


class Verified:
    """The memory of one host for one root. `paranoid` remembers nothing and knows nothing. Picklable."""

    def __init__(self, store: Store, *, paranoid: bool = False) -> None:
        host = digest(socket.gethostname().encode())[:16]
        local = "://" not in store.location
        self._path = Path(store.location, FOLDER, host) if local and not paranoid else None
        self._known: set[str] | None = None

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_known": None}

    def knows(self, name: str, stat: Stat) -> bool:
        return self._path is not None and _line(name, stat) in self._load()

    def remember(self, name: str, stat: Stat) -> None:
        if self._path is None or (line := _line(name, stat)) in self._load():
            return
        if os.path.realpath(self._path.parent) != str(self._path.parent):
            return  # a link: nothing is written outside the root
        self._load().add(line)
        try:
            self._path.parent.mkdir(exist_ok=True)
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o644)
            try:
                os.write(fd, f"\n{line}\n".encode())  # one write per line, so that processes don't mix theirs
            finally:
                os.close(fd)
        except OSError:
            pass

    def _load(self) -> set[str]:
        if self._known is None:
            try:
                text = self._path.read_text("ascii", "replace") if self._path else ""
            except OSError:
                text = ""
            self._known = set(text.split("\n"))
        return self._known


def _line(name: str, stat: Stat) -> str:
    text = f"{name} {stat.size} {stat.mtime_ns} {stat.inode}"
    # The last field keeps a damaged line from vouching for a shard it was not written for.
    return f"{text} {digest(text.encode())[:16]}"
