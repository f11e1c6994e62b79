"""Documents: every floor says what lives there, and every relative link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.source import FLOORS, ROOT, files

DOCUMENTS = [path for path in files() if path.endswith(".md")]
_LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"```.*?```", re.DOTALL)


@pytest.mark.parametrize("floor", FLOORS)
def test_every_floor_has_a_short_readme(floor: str) -> None:
    text = (ROOT / floor / "README.md").read_text(encoding="utf-8")
    assert "not" in text, "a floor's README also says what does not live there"
    assert 5 <= text.count("\n") <= 30


@pytest.mark.parametrize("name", ["README.md", "LICENSE", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_the_usual_documents_exist(name: str) -> None:
    assert (ROOT / name).stat().st_size > 200


def test_links_lead_somewhere() -> None:
    broken = []
    for path in DOCUMENTS:
        text = _FENCE.sub("", (ROOT / path).read_text(encoding="utf-8"))
        for match in _LINK.finditer(text):
            target = (match.group(1) or match.group(2)).split("#")[0]
            if target and not re.match(r"[a-z]+:", target) and not (ROOT / Path(path).parent / target).exists():
                broken.append(f"{path}: {target}")
    assert broken == []
