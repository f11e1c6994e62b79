"""Class names (and split values) as they stand in a configuration: text; a bare integer in YAML means its digits."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


ClassName = Annotated[str, BeforeValidator(_text), Field(min_length=1)]


def classes_line(names: tuple[str, ...] | list[str]) -> str:
    """The line of the configuration that declares these classes."""
    return "classes: [" + ", ".join(f'"{name}"' for name in names) + "]"
