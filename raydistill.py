"""raydistill: several teachers, one student.

    import raydistill as rd
    result = rd.run("run.yaml")

This module is all there is to import; the packages beside it are its house. Importing it loads neither torch nor Ray.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import foundation


def check_not_shadowed() -> None:
    """Raises `errors.PluginError`, which names the path, when a foreign package hides one of raydistill's.

    Runs by itself when this module is imported, in any process.
    """
    _check()


def _check() -> None:
    from pathlib import Path

    # `foundation` itself may be the foreign one, and then none of our errors can be imported.
    home = Path(__file__).resolve().parent
    found = getattr(foundation, "__file__", None) or next(iter(getattr(foundation, "__path__", [])), None)
    if found is None or Path(found).resolve().parent != home / "foundation":
        raise ImportError(f"Another package named 'foundation' hides the one of raydistill: {found}. Rename it.")
    from foundation.shadow import check_not_shadowed as check

    check()


_check()

from foundation import errors  # noqa: E402  (only after it is known to be ours)

if TYPE_CHECKING:
    from orchestrator.api import label, plan, run, search, train
    from orchestrator.config.load import LoadedConfig, load_config
    from orchestrator.version import VERSION as __version__

__all__ = [
    "LoadedConfig",
    "__version__",
    "check_not_shadowed",
    "errors",
    "label",
    "load_config",
    "plan",
    "run",
    "search",
    "train",
]
_PLACES = {
    "LoadedConfig": ("orchestrator.config.load", "LoadedConfig"),
    "load_config": ("orchestrator.config.load", "load_config"),
    "__version__": ("orchestrator.version", "VERSION"),
    **{verb: ("orchestrator.api", verb) for verb in ("label", "plan", "run", "search", "train")},
}


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first used, so that the import itself stays light."""
    if name not in _PLACES:
        raise AttributeError(f"module 'raydistill' has no attribute {name!r}; it has {', '.join(__all__)}")
    import importlib

    module, attribute = _PLACES[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
