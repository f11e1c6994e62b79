"""The machinery on a tree of three files: a guard that is held, one that nobody holds, a cut that went stale."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.guards import Guard, Verdict, page, try_all
from benchmarks.patching import Cut

CODE = """\
def safe(x):
    if x < 0:
        raise ValueError("negative")
    if x > 9:
        raise ValueError("large")
    return x
"""
TEST = """
import pytest
from small import safe

def test_negative():
    with pytest.raises(ValueError):
        safe(-1)

def test_normal():
    assert safe(1) == 1
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "small.py").write_text(CODE)
    (tmp_path / "test_small.py").write_text(TEST)
    (tmp_path / ".gitignore").write_text("ignored/\n")
    (tmp_path / "ignored").mkdir()
    (tmp_path / "ignored" / "conftest.py").write_text("raise RuntimeError\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True, timeout=60)
    return tmp_path


def guard(name: str, code: str, test: str = "test_small.py") -> Guard:
    return Guard(name, "numbers stay in range", Cut("small.py", "safe", code, "False"), test)


def test_held_unheld_and_stale(tree: Path) -> None:
    held, unheld, stale, absent = try_all(
        [
            guard("held", "x < 0"),
            guard("unheld", "x > 9"),
            guard("stale", "x < 1"),
            guard("test without effect", "x < 0", "test_small.py::test_normal"),
        ],
        tree,
        jobs=2,
    )
    assert held.red and "test_negative" in held.why
    assert not unheld.red and "stayed green" in unheld.why
    assert not stale.red and "does not apply" in stale.why
    assert not absent.red
    assert (tree / "small.py").read_text() == CODE  # only copies are cut


def test_a_test_that_is_missing_or_red_from_the_start_shows_nothing(tree: Path) -> None:
    (verdict,) = try_all([guard("gone", "x < 0", "test_small.py::test_gone")], tree, jobs=1)
    assert not verdict.red and "before anything was taken out" in verdict.why


def test_the_page_counts_and_names(tree: Path) -> None:
    text = page([Verdict(guard("a", "x < 0"), True, "FAILED"), Verdict(guard("b", "x > 9"), False, "stayed green")])
    assert "1 of 2 turned their test red" in text
    assert "| a | `small.py` `safe` | numbers stay in range | `test_small.py` |" in text
    assert "**stayed green**" in text
