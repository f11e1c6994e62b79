"""A small valid configuration for the front door's tests, as text and in files."""

from __future__ import annotations

from pathlib import Path

TEXT = (Path(__file__).parents[2] / "orchestrator" / "cli" / "template.yaml").read_text(encoding="utf-8")


def write(folder: Path, *changes: tuple[str, str], text: str = TEXT) -> Path:
    """Writes the configuration with some texts replaced; each must be there."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def line_of(path: Path, needle: str) -> int:
    """The line, from 1, of the first occurrence."""
    return path.read_text(encoding="utf-8").split(needle)[0].count("\n") + 1
