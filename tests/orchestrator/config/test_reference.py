"""The reference in `docs/` is what the models say."""

from __future__ import annotations

from pathlib import Path

from orchestrator.config.reference import markdown_reference

PAGE = Path(__file__).parents[3] / "docs" / "config_reference.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown_reference() + "\n", (
        "run: raydistill schema --markdown > docs/config_reference.md"
    )
