"""Where things lie below a cache root, and the root's own format record.

    format.json                                create-only: major, minor, features a reader must know
    entries/<id>/entry.json                    the parts of the entry's key
    entries/<id>/data/<blake3>.arrow           shards, named by their content
    entries/<id>/receipts/<unit>-<digest16>.json
    entries/<id>/manifest/<n>.json             generations
    entries/<id>/quarantine/                   damaged objects, kept for inspection

Every name is built here from hex digits and numbers; nothing read from a stored object becomes part of a path.
"""

from __future__ import annotations

import re
import secrets

from foundation.errors import CorruptionError, FormatError, StorageError
from teachers.cache.sealed import FORMAT, seal, unseal
from teachers.cache.store import Store

FORMAT_NAME = "format.json"
ENTRIES = "entries"
FEATURES: frozenset[str] = frozenset()
_HEX64 = re.compile(r"[0-9a-f]{64}\Z")
_RECEIPT = re.compile(r"[0-9a-f]{32}-[0-9a-f]{16}\Z")
_GENERATION = re.compile(r"([0-9]{8,12})\.json\Z")


def folder(entry: str, kind: str) -> str:
    return f"{ENTRIES}/{_digest(entry)}/{kind}"


def entry_name(entry: str) -> str:
    return f"{ENTRIES}/{_digest(entry)}/entry.json"


def data_name(entry: str, shard: str) -> str:
    return f"{folder(entry, 'data')}/{_digest(shard)}.arrow"


def receipt_name(entry: str, stem: str) -> str:
    if not _RECEIPT.match(stem):
        raise StorageError("This is not the name of a receipt.", found=repr(stem))
    return f"{folder(entry, 'receipts')}/{stem}.json"


def generation_name(entry: str, number: int) -> str:
    return f"{folder(entry, 'manifest')}/{number:08d}.json"


def quarantine_name(entry: str, name: str) -> str:
    """A free name for a damaged object; the random part makes room for the same object's next damage."""
    return f"{folder(entry, 'quarantine')}/{name.rsplit('/', 1)[-1]}.{secrets.token_hex(4)}"


def is_digest(text: str) -> bool:
    return bool(_HEX64.match(text))


def shards_in(store: Store, entry: str) -> list[str]:
    """Digests of the shard files that are there, committed or not."""
    names = (name.removesuffix(".arrow") for name in store.list(folder(entry, "data")) if name.endswith(".arrow"))
    return [name for name in names if is_digest(name)]


def receipts_in(store: Store, entry: str) -> list[str]:
    names = (name.removesuffix(".json") for name in store.list(folder(entry, "receipts")) if name.endswith(".json"))
    return [name for name in names if _RECEIPT.match(name)]


def generations_in(store: Store, entry: str) -> list[int]:
    matches = (_GENERATION.match(name) for name in store.list(folder(entry, "manifest")))
    return sorted(int(match[1]) for match in matches if match)


def entries_in(store: Store) -> list[str]:
    return [name for name in store.list(ENTRIES) if is_digest(name)]


def check_format(store: Store, *, create: bool) -> None:
    """Refuses a root of another format or of somebody else; with `create`, marks an empty one as ours."""
    blob = store.fetch(FORMAT_NAME)
    if blob is None:
        if others := [name for name in store.list("") if name not in (ENTRIES, "quarantine")]:
            raise FormatError(
                "This folder is not a label cache, and it is not empty.",
                expected=FORMAT_NAME,
                found=", ".join(others[:5]),
                where=store.location,
                next_step="choose another cache.root",
            )
        if create:
            store.put_if_absent(FORMAT_NAME, seal({"format": FORMAT, "kind": "raydistill-cache", "features": []}))
            check_format(store, create=False)
        return
    try:
        body = unseal(blob.data, f"{store.location}/{FORMAT_NAME}")
    except CorruptionError:
        if not create:
            raise
        # Every entry, receipt and generation carries its own format version, so marking the root anew hides nothing.
        store.move(FORMAT_NAME, f"quarantine/{FORMAT_NAME}.{secrets.token_hex(4)}")
        return check_format(store, create=True)
    if unknown := set(body.get("features", [])) - FEATURES:
        raise FormatError(
            "This cache uses features that this version doesn't know.",
            found=", ".join(sorted(map(str, unknown))),
            where=store.location,
            next_step="use a newer raydistill, or another cache root",
        )


def _digest(text: str) -> str:
    if not is_digest(text):
        raise StorageError("This is not a digest, so it names nothing here.", found=repr(text))
    return text
