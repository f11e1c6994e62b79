"""The rules themselves can fail: each complains about a bad example and is silent about a good one."""

from __future__ import annotations

import ast

import pytest

from tests.house import rules


@pytest.mark.parametrize(
    "bad",
    [
        "import pickle",
        "from joblib import load",
        "import a, cloudpickle",
        "eval('1')",
        "exec('1')",
        "yaml.load(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.export.load(path)",
        "np.load(path, allow_pickle=True)",
        "subprocess.run('ls', shell=True)",
    ],
)
def test_unsafe_code_is_found(bad: str) -> None:
    assert rules.unsafe(ast.parse(bad), "somewhere.py")


@pytest.mark.parametrize(
    "good",
    ["yaml.safe_load(text)", "torch.load(path, weights_only=True)", "model.eval()", "np.load(path)", "import io"],
)
def test_safe_code_is_let_through(good: str) -> None:
    assert rules.unsafe(ast.parse(good), "somewhere.py") == []


def test_exec_is_allowed_in_the_registry_only() -> None:
    assert rules.unsafe(ast.parse("exec(code)"), "foundation/registry.py") == []
    assert rules.unsafe(ast.parse("eval(code)"), "foundation/registry.py")


@pytest.mark.parametrize("bad", ["ray.get(ref)", "ray.wait(refs)", "ray.get(ref, timeout=None)", "from ray import get"])
def test_unbounded_waiting_is_found(bad: str) -> None:
    assert rules.unbounded_ray(ast.parse(bad))


def test_bounded_waiting_is_let_through() -> None:
    assert rules.unbounded_ray(ast.parse("ray.get(ref, timeout=5); ray.wait(refs, timeout=limit)")) == []


def test_long_functions_are_found() -> None:
    body = "\n".join("    x = 1" for _ in range(rules.MAX_FUNCTION_LINES))
    assert rules.long_functions(ast.parse(f"def f():\n{body}"))
    assert rules.long_functions(ast.parse("def f():\n    return 1")) == []
