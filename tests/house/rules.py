"""The house rules as functions from source to complaints, so that each can be shown to fail on a bad example."""

from __future__ import annotations

import ast

from tests.house.source import dotted

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

FORBIDDEN_IMPORTS = {"pickle", "cPickle", "dill", "joblib", "cloudpickle", "marshal", "shelve"}
FORBIDDEN_CALLS = {
    "eval": "evaluates text",
    "exec": "executes text",
    "yaml.load": "may build any object; use the safe loader",
    "yaml.unsafe_load": "may build any object",
    "yaml.full_load": "may build any object",
    "torch.export.load": "unpickles",
    "torch.jit.load": "runs stored code",
    "np.load(allow_pickle)": "unpickles",
    "os.system": "runs a shell",
}
# `exec` is how a user's own `--plugin FILE` runs; the unpickler is the opt-in with a SHA-256 pin (SECURITY.md).
ALLOWED = {("foundation/registry.py", "exec")}


def long_functions(tree: ast.Module) -> list[str]:
    """Functions over the limit, counted from `def` to the last line; nested ones count for themselves, too."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                found.append(f"{node.name} has {length} lines (line {node.lineno})")
    return found


def unsafe(tree: ast.Module, path: str) -> list[str]:
    """Ways to run or rebuild arbitrary objects from bytes or text."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            reasons = [(alias.name, "unpickles") for alias in node.names if _top(alias.name) in FORBIDDEN_IMPORTS]
        elif isinstance(node, ast.ImportFrom):
            reasons = [(node.module, "unpickles")] if node.module and _top(node.module) in FORBIDDEN_IMPORTS else []
        elif isinstance(node, ast.Call):
            reasons = _unsafe_call(node)
        else:
            continue
        found += [f"{name} {why} (line {node.lineno})" for name, why in reasons if (path, name) not in ALLOWED]
    return found


def _unsafe_call(node: ast.Call) -> list[tuple[str, str]]:
    name = dotted(node.func)
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    if name in ("np.load", "numpy.load") and not _is(keywords.get("allow_pickle", ast.Constant(False)), False):
        return [("np.load(allow_pickle)", FORBIDDEN_CALLS["np.load(allow_pickle)"])]
    if name == "torch.load" and not _is(keywords.get("weights_only"), True):
        return [("torch.load", "needs weights_only=True")]
    if _is(keywords.get("shell"), True):
        return [(name, "runs a shell")]
    if _is(keywords.get("trust_remote_code"), True):
        return [(name, "runs code of a model's author")]
    return [(name, FORBIDDEN_CALLS[name])] if name in FORBIDDEN_CALLS else []


def unbounded_ray(tree: ast.Module) -> list[str]:
    """`ray.get` and `ray.wait` without a time limit: on an actor that can't be placed they never return."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and dotted(node.func) in ("ray.get", "ray.wait"):
            limit = next((keyword.value for keyword in node.keywords if keyword.arg == "timeout"), None)
            if limit is None or _is(limit, None):
                found.append(f"{dotted(node.func)} without timeout (line {node.lineno})")
        if isinstance(node, ast.ImportFrom) and node.module == "ray":
            found += [f"from ray import {a.name}" for a in node.names if a.name in ("get", "wait")]
    return found


def imported_packages(tree: ast.Module) -> set[str]:
    """Top-level names of everything imported anywhere in a module."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {_top(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(_top(node.module))
    return found


def _top(name: str) -> str:
    return name.partition(".")[0]


def _is(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value
