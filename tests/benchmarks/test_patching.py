from __future__ import annotations

import textwrap

import pytest

from benchmarks.patching import Cut, CutError, apply

SOURCE = textwrap.dedent(
    """
    import os

    class Store:
        def put(self, path, data):
            # fsync before link: a name must never lead to missing bytes
            os.fsync(path)
            if digest(data) != path.name:
                raise ValueError("torn")
            os.link(path, data)
            os.fsync(path.parent)

    def other(data):
        if digest(data) != path.name:
            return None
    """
)


def cut(code: str, instead: str, function: str = "Store.put") -> str:
    return apply(SOURCE, Cut("store.py", function, code, instead))


def test_a_condition_is_replaced_inside_the_named_function_only() -> None:
    changed = cut("digest(data) != path.name", "False")
    assert changed.count("if False:") == 1
    assert changed.count("digest(data) != path.name") == 1


def test_a_statement_is_removed() -> None:
    changed = cut("os.fsync(path)", "pass")
    assert "os.fsync(path)\n" not in changed
    assert "os.fsync(path.parent)" in changed


def test_several_statements_are_swapped() -> None:
    changed = cut("os.link(path, data)\nos.fsync(path.parent)", "os.fsync(path.parent)\nos.link(path, data)")
    assert changed.index("os.fsync(path.parent)") < changed.index("os.link")


def test_layout_and_quotes_do_not_matter() -> None:
    assert "torn" not in cut("if digest( data )!=path.name:\n  raise ValueError('torn')", "pass")


@pytest.mark.parametrize(
    ("code", "function", "message"),
    [
        ("digest(data) == path.name", "Store.put", "not there"),
        ("os", "Store.put", "there 3 times"),
        ("os.fsync(path)", "Store.get", "0 definitions"),
        ("os.fsync(path)", "other", "not there"),
    ],
)
def test_a_cut_that_does_not_apply_is_an_error(code: str, function: str, message: str) -> None:
    with pytest.raises(CutError, match=message):
        cut(code, "None", function)


def test_an_ambiguous_name_is_an_error() -> None:
    with pytest.raises(CutError, match="2 definitions"):
        apply("def f(): pass\nclass A:\n    def f(self): pass\n", Cut("x.py", "f", "pass", "1"))
