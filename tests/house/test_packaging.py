"""What is installed is complete: every folder with code is a package, every other file matches a packaging pattern."""

from __future__ import annotations

import fnmatch
import importlib.util
import re
import tomllib
from pathlib import PurePosixPath
from typing import Any

from tests.house.source import FLOORS, ROOT, files, python_files


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_folder_with_code_is_a_package() -> None:
    folders = {str(PurePosixPath(path).parent) for path in python_files(*FLOORS)}
    assert [folder for folder in sorted(folders) if not (ROOT / folder / "__init__.py").is_file()] == []


def test_files_that_are_not_code_are_shipped() -> None:
    patterns = project()["tool"]["setuptools"]["package-data"]["*"]
    ours = [path for path in files() if path.split("/")[0] in FLOORS and not path.endswith(".py")]
    packaged = {path for path in ours if any(fnmatch.fnmatch(path.rsplit("/", 1)[-1], one) for one in patterns)}
    assert sorted(set(ours) - packaged) == []
    # Data lies in a package of its own right: a plain folder below a package would be left out.
    homeless = [path for path in ours if not (ROOT / path).parent.joinpath("__init__.py").is_file()]
    assert homeless == []


def test_the_command_exists() -> None:
    module, _, function = project()["project"]["scripts"]["raydistill"].partition(":")
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    with open(spec.origin, encoding="utf-8") as file:
        assert f"def {function}(" in file.read()


def test_constraints_are_exact_plain_and_cover_what_is_asked_for() -> None:
    lines = (ROOT / "constraints-cpu.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in pins.values()), "no ranges, no local suffixes"
    known = {re.sub(r"[-_.]+", "-", name).lower() for name in pins}
    asked = project()["project"]["dependencies"]
    for extra in project()["project"]["optional-dependencies"].values():
        asked = asked + extra
    names = {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=~! ]", item)[0]).lower() for item in asked}
    assert sorted(names - known) == []
