"""Small files of a run folder: written whole or not at all, read with an error that names them."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from foundation.errors import CorruptionError, DataError


def write_atomic(path: Path, data: bytes) -> None:
    """Writes bytes through a temporary neighbour, fsync and rename, so that a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    neighbour = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with neighbour.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(neighbour, path)
    finally:
        neighbour.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Writes a JSON value readably: sorted keys, two blanks, UTF-8, no NaN."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_atomic(path, text.encode() + b"\n")


def read_json(path: Path) -> Any:
    """Reads a JSON file. Raises `DataError` if it is missing and `CorruptionError` if it is no JSON."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(
            "A file of the run folder is missing.",
            where=path,
            next_step="run the same command again: it resumes, then writes the report",
        ) from error
    except ValueError as error:
        raise CorruptionError("A file of the run folder can't be read as JSON.", found=error, where=path) from error
