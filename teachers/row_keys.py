"""A row is known by its content: 128 bits of blake3 over its input columns.

Keys are numpy arrays `keys_N` of dtype S16 (16 raw bytes each). Beware: numpy strips trailing NUL bytes from an S16
*item*, so turn keys into bytes or hex with the helpers here, never with `tolist()`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from blake3 import blake3

from foundation.errors import DataError
from foundation.fingerprint import FINGERPRINT_VERSION, digest

RowKeys = np.ndarray  # shape [N], dtype S16
KEY_DTYPE = np.dtype("S16")
CHUNK_ROWS = 65_536


def row_keys(columns: Mapping[str, np.ndarray]) -> RowKeys:
    """Returns keys [N] of N rows given as columns [N, ...].

    Hashed per row: the fingerprint version, then for each column in name order its name, dtype, shape and
    little-endian bytes. Text columns (dtype object or U) are hashed as UTF-8. Raises `DataError` on ragged columns.
    """
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) != 1:
        raise DataError("Input columns have different lengths.", found=lengths)
    prepared = [_prepare(name, columns[name]) for name in sorted(columns)]
    count = next(iter(lengths.values()))
    out = np.empty(count, dtype=KEY_DTYPE)
    start = blake3(f"raydistill-row-{FINGERPRINT_VERSION}".encode())
    for row in range(count):
        hasher = start.copy()
        for header, data in prepared:
            hasher.update(header)
            payload = data[row]
            hasher.update(len(payload).to_bytes(8, "little"))
            hasher.update(payload)
        out[row] = hasher.digest(length=16)
    return out


def to_bytes(keys_N: RowKeys) -> bytes:
    """Returns the 16 * N raw bytes of the keys."""
    return np.ascontiguousarray(keys_N, dtype=KEY_DTYPE).tobytes()


def from_bytes(data: bytes) -> RowKeys:
    """Inverse of `to_bytes`."""
    return np.frombuffer(data, dtype=KEY_DTYPE)


def to_hex(keys_N: RowKeys) -> list[str]:
    """Returns the keys as 32 hex digits each."""
    text = to_bytes(keys_N).hex()
    return [text[start : start + 32] for start in range(0, len(text), 32)]


def from_hex(texts: Sequence[str]) -> RowKeys:
    """Inverse of `to_hex`."""
    return from_bytes(bytes.fromhex("".join(texts)))


def locate(haystack_N: RowKeys, needles_M: RowKeys) -> np.ndarray:
    """Returns for each needle its index in the haystack, or -1: int64 [M]."""
    if len(haystack_N) == 0:
        return np.full(len(needles_M), -1, dtype=np.int64)
    order = np.argsort(haystack_N, kind="stable")
    place = np.minimum(np.searchsorted(haystack_N, needles_M, sorter=order), len(order) - 1)
    found = order[place]
    return np.where(haystack_N[found] == needles_M, found, -1).astype(np.int64)


def chunk_digests(keys_N: RowKeys) -> list[str]:
    """Returns one digest per 65 536 rows, so that large data sets are compared chunk by chunk."""
    return [digest(to_bytes(keys_N[start : start + CHUNK_ROWS])) for start in range(0, len(keys_N), CHUNK_ROWS)]


def _prepare(name: str, column: np.ndarray) -> tuple[bytes, Sequence[bytes]]:
    column = np.asarray(column)
    if column.dtype.kind in "OU":
        texts = []
        for value in column.tolist():
            if not isinstance(value, str):
                raise DataError(
                    "An input column mixes text with something else.", found=type(value).__name__, where=name
                )
            texts.append(value.encode())
        return f"{name}\0text\0".encode(), texts
    if column.dtype.kind not in "biuf":
        raise DataError("An input column has a type that can't be hashed.", found=column.dtype, where=name)
    little = np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("<"))
    header = f"{name}\0{little.dtype.str}\0{little.shape[1:]}\0".encode()
    width = little.dtype.itemsize * int(np.prod(little.shape[1:], dtype=np.int64))
    raw = memoryview(little.tobytes())
    return header, [bytes(raw[row * width : (row + 1) * width]) for row in range(len(little))]
