"""Canonical JSON and blake3: the one way to compute an identity.

A fingerprint must come out the same on every machine and in every year, so the JSON has one form only: sorted keys,
no blanks, UTF-8, integers and floats written apart, no NaN. `FINGERPRINT_VERSION` is part of what is hashed; the
golden vectors in the tests fail when a digit changes without a new version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blake3 import blake3

from foundation.errors import DataError

FINGERPRINT_VERSION = 1
_CHUNK_BYTES = 4 << 20


def canonical_json(value: object) -> bytes:
    """Returns the one JSON text of `value` as bytes. Raises `DataError` for NaN, infinities and non-JSON types."""
    _refuse_unstable(value, "$")
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise DataError("A fingerprint takes valid Unicode only.", found=ascii(error.object[error.start])) from error


def fingerprint(value: object) -> str:
    """Returns the 256-bit blake3 fingerprint (64 hex digits) of a JSON value."""
    return digest(canonical_json({"fingerprint_version": FINGERPRINT_VERSION, "value": value}))


def digest(data: bytes | bytearray | memoryview) -> str:
    """Returns the blake3 digest (64 hex digits) of raw bytes."""
    return blake3(data).hexdigest()


def digest_file(path: Path) -> str:
    """Returns the blake3 digest (64 hex digits) of a file's bytes, read in bounded memory."""
    hasher = blake3()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.hexdigest()


def _refuse_unstable(value: Any, where: str) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise DataError("A fingerprint takes text keys only.", found=repr(key), where=where)
            _refuse_unstable(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _refuse_unstable(item, f"{where}[{index}]")
    elif isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        raise DataError("A fingerprint takes finite numbers only.", found=value, where=where)
    elif not isinstance(value, str | int | float | bool | None):
        raise DataError("A fingerprint takes JSON values only.", found=type(value).__name__, where=where)
