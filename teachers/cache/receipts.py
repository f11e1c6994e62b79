"""Receipts of one entry as files. Each names a unit, what became of it and who paid; put if absent, never changed."""

from __future__ import annotations

from foundation.errors import CorruptionError, FormatError
from foundation.fingerprint import fingerprint
from teachers.cache import layout
from teachers.cache.sealed import FORMAT, seal, unseal
from teachers.cache.store import Store
from teachers.units import Receipt


def stem_of(receipt: Receipt) -> str:
    """The receipt's file name without suffix.

    Two labellings of one unit are two receipts, even when their labels are equal: counters add up receipts.
    """
    told = {
        "shard": receipt.shard,
        "attempt": receipt.attempt,
        "run": receipt.run,
        "stage": receipt.stage,
        "quarantined": [list(item) for item in receipt.quarantined],
        "recovered": bool(receipt.extra.get("recovered")),
    }
    return f"{receipt.unit}-{fingerprint(told)[:16]}"


def put_receipt(store: Store, receipt: Receipt) -> Receipt:
    """Makes the receipt durable. When it's there already, returns the one that is there: the first wins."""
    name = layout.receipt_name(receipt.entry, stem := stem_of(receipt))
    while not store.put_if_absent(name, seal({"format": FORMAT, "receipt": receipt.to_json()})):
        try:
            return get_receipt(store, receipt.entry, stem)
        except CorruptionError:
            store.move(name, layout.quarantine_name(receipt.entry, name))
    return receipt


def get_receipt(store: Store, entry: str, stem: str) -> Receipt:
    """Reads one receipt. Raises `CorruptionError` when it's damaged, gone, or lies under another's name."""
    name = layout.receipt_name(entry, stem)
    where = f"{store.location}/{name}"
    blob = store.fetch(name)
    if blob is None:
        raise CorruptionError("A receipt is gone.", expected="a record", found="no file", where=where)
    body = unseal(blob.data, where)
    try:
        known = {name: value for name, value in body["receipt"].items() if name in Receipt.__dataclass_fields__}
        receipt = Receipt.from_json(known)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError("A receipt lacks what it must have.", found=repr(error), where=where) from error
    if receipt.entry != entry or stem_of(receipt) != stem:
        raise CorruptionError(
            "A receipt lies under another's name.", expected=stem, found=stem_of(receipt), where=where
        )
    return receipt
