"""The reference in `docs/` is what the models say. A new plug-in is one file and its test, so it needn't be on the page
before `raydistill schema --markdown > docs/config_reference.md` is run again; whatever is on the page is true."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.config.reference import markdown_reference

PAGE = Path(__file__).parents[3] / "docs" / "config_reference.md"
HINT = "run: raydistill schema --markdown > docs/config_reference.md"


def parts(text: str) -> tuple[str, dict[str, str]]:
    """The sections of a file, and what is said of each plug-in by its heading."""
    sections, _, plugins = text.partition("\n## Plug-ins\n")
    found = re.split(r"^### (.+)$", plugins, flags=re.MULTILINE)[1:]
    return sections, {name: body.strip() for name, body in zip(found[::2], found[1::2], strict=True)}


def test_the_sections_are_up_to_date() -> None:
    assert parts(PAGE.read_text(encoding="utf-8"))[0] == parts(markdown_reference())[0], HINT


def test_what_is_said_of_plugins_is_true() -> None:
    said, true = parts(PAGE.read_text(encoding="utf-8"))[1], parts(markdown_reference())[1]
    assert len(said) > 20 and {"method `kl`", "backend `sklearn`", "lens `temperature`"} <= said.keys()
    wrong = [name for name, body in said.items() if true.get(name) != body]
    assert wrong == [], HINT


def test_the_parts_are_told_apart() -> None:
    sections, plugins = parts(
        "# a\n\n## `data`\n\nx\n\n## Plug-ins\n\n### method `kl`\n\nwords\n\n### lens `t`\n\nmore\n"
    )
    assert sections == "# a\n\n## `data`\n\nx\n"
    assert plugins == {"method `kl`": "words", "lens `t`": "more"}
