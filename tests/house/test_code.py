"""Every file keeps the house rules: size, safety, bounded waiting, declared dependencies."""

from __future__ import annotations

import re
import sys
import tomllib

import pytest

from tests.house import rules
from tests.house.source import FLOORS, ROOT, files, python_files, tree

PRODUCT = (*FLOORS, "raydistill.py")
# Import names that differ from the name on the package index.
IMPORT_NAMES = {"yaml": "pyyaml", "sklearn": "scikit-learn", "prometheus_client": "prometheus-client"}
# Parts of what is declared.
COMES_WITH = {
    "botocore": "boto3",
    "pydantic_core": "pydantic",
    "annotated_types": "pydantic",
    "click": "typer",
    "markupsafe": "jinja2",
}


@pytest.mark.parametrize("path", python_files())
def test_a_file_holds_one_idea(path: str) -> None:
    lines = (ROOT / path).read_text(encoding="utf-8").count("\n")
    assert lines <= rules.MAX_FILE_LINES, f"{path} has {lines} lines"
    assert rules.long_functions(tree(path)) == [], path


@pytest.mark.parametrize("path", python_files(*PRODUCT, "examples", "benchmarks"))
def test_nothing_is_unpickled_or_evaluated(path: str) -> None:
    assert rules.unsafe(tree(path), path) == [], path


@pytest.mark.parametrize("path", python_files(*PRODUCT, "examples", "benchmarks", "tests"))
def test_no_wait_on_ray_is_unbounded(path: str) -> None:
    if path != "tests/house/test_rules.py":
        assert rules.unbounded_ray(tree(path)) == [], path


@pytest.mark.parametrize("path", python_files(*FLOORS))
def test_a_module_says_what_it_is(path: str) -> None:
    import ast

    if (ROOT / path).read_text(encoding="utf-8").strip():
        assert ast.get_docstring(tree(path)), f"{path} has no docstring"


def test_imports_are_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [item for name in ("onnx",) for item in project["optional-dependencies"][name]]
    declared = {re.split(r"[\[<>=~! ]", item)[0] for item in project["dependencies"] + extras}
    own = {*FLOORS, "raydistill", "benchmarks", "tests"}
    unknown = {}
    for path in python_files(*PRODUCT):
        for name in rules.imported_packages(tree(path)):
            name = COMES_WITH.get(name, name)
            if name not in own and name not in sys.stdlib_module_names and IMPORT_NAMES.get(name, name) not in declared:
                unknown.setdefault(name, path)
    assert unknown == {}


def test_no_tracked_file_is_large() -> None:
    large = {path: (ROOT / path).stat().st_size for path in files() if (ROOT / path).stat().st_size > 1 << 20}
    assert large == {}
