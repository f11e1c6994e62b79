"""What may be shown, and how: words that sound like a secret, text that is safe for a terminal, the nearest name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_SECRET = re.compile(
    r"secret|token|passw|api_?key|access_?key|private_?key|credential|(^|_)auth($|_)|(^|_)pin($|_)", re.I
)


def plain_text(text: str, limit: int = 200) -> str:
    """Returns `text` with everything unprintable escaped and long text cut: safe for a terminal and a log."""
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape", "replace").decode() for char in text[:limit]
    )
    return shown if len(text) <= limit else f"{shown}..."


def secret_like(path: Iterable[str | int]) -> bool:
    """True when a key on the path sounds like it holds a secret."""
    return any(isinstance(part, str) and _SECRET.search(part) for part in path)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Returns the known name that `name` was probably meant to be."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return near[0] if near else None
