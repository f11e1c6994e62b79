"""`entry.json`: the parts of an entry's key, stored beside its labels so that a miss can be explained."""

from __future__ import annotations

from foundation.errors import CorruptionError, RaydistillError
from teachers.cache import layout
from teachers.cache.entry_key import EntryKey
from teachers.cache.sealed import FORMAT, seal, unseal
from teachers.cache.store import Store


def put_key(store: Store, key: EntryKey) -> None:
    """Marks the root, and writes the entry's record. It's a pure function of the key: a damaged one is made anew."""
    layout.check_format(store, create=True)
    name, data = layout.entry_name(key.id), seal({"format": FORMAT, "id": key.id, "parts": key.parts()})
    while not store.put_if_absent(name, data):
        try:
            load_key(store, key.id)
            return
        except CorruptionError:
            store.move(name, layout.quarantine_name(key.id, name))


def load_key(store: Store, entry: str) -> EntryKey:
    """Reads the key of a stored entry. Raises `CorruptionError` when its parts don't give the name of its folder."""
    name = layout.entry_name(entry)
    where = f"{store.location}/{name}"
    blob = store.fetch(name)
    if blob is None:
        raise CorruptionError("An entry has no record of its key.", expected="entry.json", found="no file", where=where)
    body = unseal(blob.data, where)
    try:
        key = EntryKey(**body["parts"])
        found = key.id
        key.num_classes, key.output["codec"]["kind"]
    except (KeyError, TypeError, ValueError, RaydistillError) as error:
        raise CorruptionError("An entry's record is incomplete.", found=type(error).__name__, where=where) from error
    if found != entry:
        raise CorruptionError("An entry lies under another's name.", expected=entry, found=found, where=where)
    return key
