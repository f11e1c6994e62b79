"""The version, from the installed distribution; `0+unknown` for a tree that was never installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def _find() -> str:
    try:
        return version("raydistill")
    except PackageNotFoundError:
        return "0+unknown"


VERSION = _find()
