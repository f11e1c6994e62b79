"""The floors have plain names (`pipelines`, `teachers`, ...). A user's own folder of such a name beside a script comes
first on the import path and would be taken for ours; this finds it and names it.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

from foundation.errors import PluginError

FLOORS = ("foundation", "teachers", "pipelines", "orchestrator")
_HOME = Path(__file__).resolve().parent.parent


def check_not_shadowed() -> None:
    """Raises `PluginError` that names the path of a foreign package which took the place of one of ours.

    Works in any process (a driver, a worker): it compares where each floor would be, or was, imported from with
    where this file lies.
    """
    for floor in FLOORS:
        ours = _HOME / floor / "__init__.py"
        found = _origin(floor)
        if found is not None and found.resolve() != ours:
            raise _hidden(floor, found)


def check_no_rival_in(folders: Iterable[Path]) -> None:
    """Raises `PluginError` when one of these folders, about to come first on the import path of other processes, has a
    package or module named like one of ours. (A folder without `__init__.py` hides nothing.)"""
    for folder in folders:
        for floor in FLOORS:
            for found in (folder / floor / "__init__.py", folder / f"{floor}.py"):
                if found.is_file() and found.resolve() != _HOME / floor / "__init__.py":
                    raise _hidden(floor, found)


def _hidden(floor: str, found: Path) -> PluginError:
    return PluginError(
        f"Another package named {floor!r} hides the one of raydistill.",
        expected="no package or module of this name before raydistill on the import path",
        where=found,
        next_step="rename it, or run from another folder",
    )


def _origin(floor: str) -> Path | None:
    module = sys.modules.get(floor)
    if module is not None:
        places = [getattr(module, "__file__", None), *getattr(module, "__path__", [])]
        return next((Path(place) for place in places if place), None)
    try:
        spec = importlib.util.find_spec(floor)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.origin is not None:
        return Path(spec.origin)
    places = list(spec.submodule_search_locations or [])
    return Path(places[0]) if places else None
