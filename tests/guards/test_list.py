"""Every cut of the list applies to the code as it stands, and every test it names is there."""

from __future__ import annotations

import ast

import pytest

from benchmarks.guards import ROOT, Guard
from benchmarks.guards_list import GUARDS
from benchmarks.patching import apply


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.id)
def test_the_cut_applies(guard: Guard) -> None:
    source = (ROOT / guard.cut.path).read_text(encoding="utf-8")
    changed = apply(source, guard.cut)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.id)
def test_the_test_exists(guard: Guard) -> None:
    for node in guard.test.split():
        path, _, name = node.partition("::")
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not name or f"def {name.partition('[')[0]}(" in text


def test_ids_are_distinct() -> None:
    assert len({guard.id for guard in GUARDS}) == len(GUARDS)
