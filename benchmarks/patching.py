"""Taking one guard out of a source file, by syntax and not by text.

A cut names a function and a piece of code inside it. Comments and layout don't matter; if the piece isn't there
exactly once, the cut no longer applies, and that is an error rather than a guard that silently isn't tested.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass


class CutError(Exception):
    """The cut doesn't apply: the function or the code is absent, or the code is there more than once."""


@dataclass(frozen=True)
class Cut:
    """One change to one function.

    Attributes:
        path: file, relative to the root of the project.
        function: dotted name inside the file, such as `Entry.publish`; '' for the module itself.
        code: an expression, or one or more statements, as they stand in the function.
        instead: what takes their place; an expression for an expression, statements (or 'pass') for statements.
    """

    path: str
    function: str
    code: str
    instead: str


def apply(source: str, cut: Cut) -> str:
    """Returns the changed source. Raises `CutError` when the cut doesn't apply."""
    tree = ast.parse(source)
    scope = _scope(tree, cut)
    code, instead = _parse(cut.code), _parse(cut.instead)
    as_statements = _replace_statements(scope, code, instead)
    if isinstance(code[0], ast.Expr) and len(code) == 1 and isinstance(instead[0], ast.Expr) and not as_statements:
        replacer = _Expressions(code[0].value, instead[0].value)
        replacer.visit(scope)
        as_statements = replacer.count
    if as_statements != 1:
        times = "not there" if as_statements == 0 else f"there {as_statements} times"
        raise CutError(f"{cut.path}: {cut.code!r} is {times} in {cut.function or 'the module'}")
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def _parse(text: str) -> list[ast.stmt]:
    # A bare `return` or `continue` parses; only its meaning needs a function around it.
    return ast.parse(text).body


def _scope(tree: ast.Module, cut: Cut) -> ast.AST:
    scope: ast.AST = tree
    for name in filter(None, cut.function.split(".")):
        inside = [
            node
            for node in ast.walk(scope)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name
        ]
        if len(inside) != 1:
            raise CutError(f"{cut.path}: {len(inside)} definitions named {name!r}, wanted one")
        scope = inside[0]
    return scope


def _same(left: ast.AST, right: ast.AST) -> bool:
    return ast.dump(left) == ast.dump(right)


def _replace_statements(scope: ast.AST, code: list[ast.stmt], instead: list[ast.stmt]) -> int:
    """Replaces each run of statements equal to `code`; returns how many there were."""
    count = 0
    for node in ast.walk(scope):
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if not isinstance(body, list):
                continue
            start = 0
            while start + len(code) <= len(body):
                window = body[start : start + len(code)]
                if all(_same(found, wanted) for found, wanted in zip(window, code, strict=True)):
                    body[start : start + len(code)] = instead
                    count += 1
                    start += len(instead)
                else:
                    start += 1
    return count


class _Expressions(ast.NodeTransformer):
    def __init__(self, code: ast.expr, instead: ast.expr) -> None:
        self.code, self.instead, self.count = code, instead, 0

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.expr) and _same(node, self.code):
            self.count += 1
            return self.instead
        changed: ast.AST = self.generic_visit(node)
        return changed
