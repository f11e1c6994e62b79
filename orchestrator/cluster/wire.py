"""Units and receipts on their way between driver and workers, packed to 24 bytes a row.

Ray sends small values inline; anything above 100 KB would go through the object store, where nothing of ours belongs.
As tuples of hex text a unit of 4 096 rows would be four times that.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from teachers.row_keys import from_bytes, from_hex, to_bytes, to_hex
from teachers.units import Receipt, Unit

Packed = dict[str, Any]


def pack_unit(unit: Unit) -> Packed:
    """Returns the unit as a small dictionary of text and bytes."""
    positions = np.array(unit.positions, dtype="<i8").tobytes()
    return {"teacher": unit.teacher, "entry": unit.entry, "positions": positions, "keys": _pack(unit.keys)}


def unpack_unit(packed: Packed) -> Unit:
    """Inverse of `pack_unit`."""
    positions = np.frombuffer(packed["positions"], dtype="<i8").tolist()
    return Unit(packed["teacher"], packed["entry"], tuple(positions), _unpack(packed["keys"]))


def pack_receipt(receipt: Receipt) -> Packed:
    """Returns the receipt as a small dictionary."""
    return {**asdict(receipt), "keys": _pack(receipt.keys)}


def unpack_receipt(packed: Packed) -> Receipt:
    """Inverse of `pack_receipt`."""
    quarantined = tuple((key, reason) for key, reason in packed["quarantined"])
    return Receipt(**{**packed, "keys": _unpack(packed["keys"]), "quarantined": quarantined})


def _pack(keys: tuple[str, ...]) -> bytes:
    return to_bytes(from_hex(keys)) if keys else b""


def _unpack(data: bytes) -> tuple[str, ...]:
    return tuple(to_hex(from_bytes(data))) if data else ()
