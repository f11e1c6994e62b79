"""Writing a small file so that it is there whole or not at all, even when the machine stops."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from foundation.errors import StorageError, StorageFullError

_FULL = {28, 122}  # ENOSPC, EDQUOT


def write_atomic(path: Path, data: bytes) -> None:
    """Writes, syncs, renames, syncs the folder. Raises `StorageError` that names the path."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise storage_error(error, path) from error


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON value, readable by people. Raises `StorageError`."""
    write_atomic(path, (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def sync_folder(folder: Path) -> None:
    """Makes names in `folder` last."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def storage_error(error: OSError, path: Path) -> StorageError:
    """Returns the plain-words form of an operating system error at `path`."""
    reason = error.strerror or type(error).__name__
    if error.errno in _FULL:
        step = "free some space and run the same command again"
        return StorageFullError("No space is left.", found=reason, where=path, next_step=step)
    return StorageError("A file can't be written or read.", found=reason, where=path)
