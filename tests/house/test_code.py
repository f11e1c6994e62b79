"""Every file keeps the house rules: size, safety, bounded waiting, declared dependencies."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Callable, Iterable

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


def complaints(rule: Callable[[str], list[str]], paths: Iterable[str]) -> dict[str, list[str]]:
    """All that a rule says about some files, by file."""
    return {path: found for path in paths if (found := rule(path))}


def test_a_file_holds_one_idea() -> None:
    def rule(path: str) -> list[str]:
        lines = (ROOT / path).read_text(encoding="utf-8").count("\n")
        too_long = [f"{lines} lines"] if lines > rules.MAX_FILE_LINES else []
        return too_long + rules.long_functions(tree(path))

    assert complaints(rule, python_files()) == {}


def test_nothing_is_unpickled_or_evaluated() -> None:
    paths = python_files(*PRODUCT, "examples", "benchmarks")
    assert complaints(lambda path: rules.unsafe(tree(path), path), paths) == {}


def test_no_wait_on_ray_is_unbounded() -> None:
    examples_of_bad_code = "tests/house/test_rules.py"
    paths = set(python_files(*PRODUCT, "examples", "benchmarks", "tests")) - {examples_of_bad_code}
    assert complaints(lambda path: rules.unbounded_ray(tree(path)), sorted(paths)) == {}


def test_a_module_says_what_it_is() -> None:
    def rule(path: str) -> list[str]:
        return ["no docstring"] if tree(path).body and not ast.get_docstring(tree(path)) else []

    assert complaints(rule, python_files(*FLOORS)) == {}


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
