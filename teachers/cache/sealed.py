"""Small records (entry, receipt, generation) as JSON files that prove their own bytes.

A file is `{"blake3":"<64 hex>","body":<canonical JSON>}`; the digest covers the bytes of the body and is compared
before any JSON parser sees them.
"""

from __future__ import annotations

import json
from typing import Any

from foundation.errors import CorruptionError, FormatError
from foundation.fingerprint import canonical_json, digest

_PREFIX = b'{"blake3":"'
_MIDDLE = b'","body":'
_BODY_AT = len(_PREFIX) + 64 + len(_MIDDLE)
FORMAT = {"major": 1, "minor": 0}


def seal(body: dict[str, Any]) -> bytes:
    """Returns the file's bytes."""
    text = canonical_json(body)
    return _PREFIX + digest(text).encode() + _MIDDLE + text + b"}"


def unseal(data: memoryview | bytes, where: str) -> dict[str, Any]:
    """Returns the body. Raises `CorruptionError` with both digests, or `FormatError` for a record from the future."""
    data = bytes(data)
    text, claimed = data[_BODY_AT:-1], data[len(_PREFIX) : len(_PREFIX) + 64]
    found = digest(text)
    around = data[: len(_PREFIX)] + data[_BODY_AT - len(_MIDDLE) : _BODY_AT] + data[-1:]
    if around != _PREFIX + _MIDDLE + b"}" or claimed != found.encode():
        raise CorruptionError(
            "A record's bytes are not the ones that were written.",
            expected=f"blake3 {claimed.decode('ascii', 'backslashreplace')}",
            found=f"blake3 {found}",
            where=where,
            next_step="run the same command again: damaged records are set aside and made anew",
        )
    try:
        body = json.loads(text)
        major, minor = int(body["format"]["major"]), int(body["format"]["minor"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError("A record has no format version.", found=type(error).__name__, where=where) from error
    if major != FORMAT["major"]:
        raise FormatError(
            "This was written by another major version of the format.",
            expected=f"format {FORMAT['major']}.x",
            found=f"format {major}.{minor}",
            where=where,
            next_step=f"use a raydistill that reads format {major}, or another cache root",
        )
    return dict(body)
