"""Identity of the code a user brings: the digest of the file a guest plug-in was read from."""

from __future__ import annotations

from pathlib import Path

from foundation import registry
from foundation.errors import PluginError
from foundation.fingerprint import digest_file


def source_digest(kind: str, name: str) -> str:
    """Returns blake3 (64 hex digits) over the plug-in's source text. Raises `PluginError` if it has none."""
    for guest in registry.guests():
        if (guest.kind, guest.name) == (kind, name):
            return guest.digest
    path = getattr(registry.load(kind, name), "__file__", None)
    if path is None or not Path(path).is_file():
        raise PluginError("A plug-in has no source file to identify it by.", found=name, where=kind)
    return digest_file(Path(path))
