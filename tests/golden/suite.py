"""All golden cases against all adapters: what `python -m tests.golden` and the fast tests both run."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from pathlib import Path

from tests.golden import adapters
from tests.golden.case import Case, cases
from tests.golden.check import Adapter, check


@dataclass(frozen=True)
class Entry:
    """An adapter, and the arrays of the file that it has no use for (each with its reason at the registration)."""

    adapter: Adapter
    skips: frozenset[str]


@dataclass(frozen=True)
class Verdict:
    """The outcome of one case; no complaints means that it agrees."""

    id: str
    case: str
    complaints: tuple[str, ...]


def known() -> dict[str, Entry]:
    """Adapters by golden id: the public functions of the adapter modules. `SKIPS` of a module lists unused arrays."""
    found: dict[str, Entry] = {}
    for info in pkgutil.iter_modules(adapters.__path__):
        module = importlib.import_module(f"tests.golden.adapters.{info.name}")
        skips: dict[str, set[str]] = getattr(module, "SKIPS", {})
        for name in module.IDS:
            if name in found:
                raise ValueError(f"two adapters for {name}")
            found[name] = Entry(getattr(module, name), frozenset(skips.get(name, ())))
    return found


def judge(case: Case, entries: dict[str, Entry]) -> Verdict:
    entry = entries.get(case.id)
    if entry is None:
        return Verdict(case.id, case.name, ("no adapter for this file",))
    return Verdict(case.id, case.name, tuple(check(case, entry.adapter, entry.skips)))


def run(where: Path | None = None, *, only_known: bool = False) -> list[Verdict]:
    """Judges every case of the folder, or only those that have an adapter."""
    entries = known()
    return [judge(case, entries) for case in cases(where) if not only_known or case.id in entries]
