"""The model card: complete, and safe to paste into a hub, a wiki or a spreadsheet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.report.build import build_report
from orchestrator.report.gather import gather
from orchestrator.report.model_card import code, markdown, render_model_card


def card_of(run_dir: Path) -> str:
    return render_model_card(build_report(gather(run_dir)))


def test_it_says_what_where_from_how_good_and_how_again(fixed_run: Path) -> None:
    card = card_of(fixed_run)
    for wanted in (
        "# fake",
        "## Teachers",
        "## Results",
        "## Limits",
        "## Reproduction",
        "| searched | 91.1 ± ",
        "650 parameters",
        "raydistill run examples/digits/trust.yaml",
        "torch 2.13.0",
        "trees\\_low",
        "(reference)",
        "(control)",
    ):
        assert wanted in card, wanted
    tables = [line for line in card.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in tables} == {3, 6, 7}


def test_an_unlabelled_run_says_it_was_compared_by_likeness(unlabelled_run: Path) -> None:
    card = card_of(unlabelled_run)
    assert "likeness to their teachers" in card and "| searched | – |" in card


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x"])
def test_no_cell_starts_a_formula(text: str) -> None:
    assert markdown(text)[0] not in "=+-@"


@pytest.mark.parametrize(
    "text", ["a|b", "<script>x</script>", "`x`", "*x*", "[x](http://y)", "# x", "a\nb", "\x1b[31mred"]
)
def test_no_cell_starts_markup(text: str) -> None:
    found = markdown(text)
    for sign in "|<`*[#":
        assert f"\\{sign}" in found if sign in text else sign not in found
    assert "\n" not in found and "\x1b" not in found


def test_code_cannot_close_its_block() -> None:
    assert code("a\n```\n<b>") == "a '''<b>".replace("'''<", "''' <")


def test_names_stay_in_their_cells(run_dir: Path) -> None:
    evil = "=cmd|'/c x'!A1\n# <script>alert(1)</script> ```"
    context = json.loads((run_dir / "context.json").read_text())
    context |= {"name": evil, "command": evil, "versions": {evil: evil}, "student": evil, "inputs": [evil]}
    (run_dir / "context.json").write_text(json.dumps(context))
    card = card_of(run_dir)
    assert "<script>" not in card.replace("\\<script\\>", "").replace(code(evil), "")
    assert card.count("```") == 2
    outside = card[: card.index("```")] + card[card.rindex("```") :]
    assert not any(line.startswith(("# <", "=")) for line in outside.splitlines())
