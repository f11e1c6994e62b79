"""The run's journal: small JSON records that are written once and survive any crash.

`journal/<kind>/<key>.json` is put-if-absent: temporary file, fsync, link, fsync of the folder. The first record under a
key is the only one, so whoever repeats a step after a crash finds what was acknowledged before it. Each record carries
the digest of its own content; a damaged one is moved to `journal/damaged/` and named, never served.
What a record means belongs to whoever writes it (trials: `orchestrator/cluster/tuner.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation.errors import StorageError, StorageFullError
from foundation.fingerprint import fingerprint

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\Z")
_TEMPORARY = ".tmp-"

Record = dict[str, Any]


@dataclass(frozen=True)
class DamagedRecord:
    """A record whose bytes are not what was written; it lies under `moved_to` now."""

    kind: str
    key: str
    moved_to: str


class Journal:
    """Put-if-absent records below `run_dir/journal`. Cheap to make, picklable, safe with several writers."""

    def __init__(self, run_dir: Path) -> None:
        self._root = run_dir / "journal"

    def put(self, kind: str, key: str, record: Record) -> bool:
        """Writes a record unless its key is taken; durable when it returns. Returns False if it was taken.

        Raises `StorageFullError` or `StorageError`, and `DataError` for values that aren't stable JSON.
        """
        path = self._path(kind, key)
        data = json.dumps({"digest": fingerprint(record), "record": record}, sort_keys=True, indent=1).encode()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return _put_if_absent(path, data)
        except OSError as error:
            kind_of_error = StorageFullError if error.errno in (27, 28, 122) else StorageError  # EFBIG ENOSPC EDQUOT
            raise kind_of_error(
                "A journal record can't be written.",
                found=error.strerror or repr(error),
                where=path,
                next_step="free some space or fix the permissions, then run the same command again",
            ) from error

    def get(self, kind: str, key: str) -> Record | None:
        """Returns a record, or None if there is none or it was damaged (then it is set aside)."""
        path = self._path(kind, key)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        record = _parse(data)
        if record is None:
            self._set_aside(kind, path)
        return record

    def all(self, kind: str) -> dict[str, Record]:
        """Returns every valid record of a kind by key, sorted by key; damaged ones are set aside."""
        found = {key: self.get(kind, key) for key in self.keys(kind)}
        return {key: record for key, record in found.items() if record is not None}

    def keys(self, kind: str) -> list[str]:
        """Returns the keys of a kind, sorted, without reading the records."""
        folder = self._path(kind, "x").parent
        if not folder.is_dir():
            return []
        return sorted(entry.name[:-5] for entry in os.scandir(folder) if _is_record(entry.name))

    def damaged(self) -> list[DamagedRecord]:
        """Returns what was set aside so far, in this and in earlier processes."""
        folder = self._root / "damaged"
        if not folder.is_dir():
            return []
        found = []
        for path in sorted(folder.iterdir()):
            kind, _, rest = path.name.partition("--")
            found.append(DamagedRecord(kind, rest.rpartition("--")[0], str(path)))
        return found

    def _set_aside(self, kind: str, path: Path) -> None:
        folder = self._root / "damaged"
        folder.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another reader may have moved it
            path.rename(folder / f"{kind}--{path.stem}--{secrets.token_hex(4)}")

    def _path(self, kind: str, key: str) -> Path:
        for name in (kind, key):
            if not _NAME.match(name):
                raise StorageError("A journal key must be a plain name.", expected=_NAME.pattern, found=repr(name))
        return self._root / kind / f"{key}.json"


def _is_record(name: str) -> bool:
    return name.endswith(".json") and not name.startswith(_TEMPORARY)


def _parse(data: bytes) -> Record | None:
    try:
        envelope = json.loads(data)
        record: Record = envelope["record"]
        return record if fingerprint(record) == envelope["digest"] else None
    except (ValueError, KeyError, TypeError):
        return None


def _put_if_absent(path: Path, data: bytes) -> bool:
    temporary = path.parent / f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(6)}"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # unlike a rename, a link fails when the name is taken
        except FileExistsError:
            return False
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return True
    finally:
        temporary.unlink(missing_ok=True)
