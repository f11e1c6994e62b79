"""The tutorials are true: their code is taken from the page, loaded as a guest, tested with the page's own tests, and
used by the real objective and loop (or, for a backend, by the real preflight)."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.house import rules
from tests.house.source import ROOT

TUTORIALS = {
    "add_a_loss.md": "total_variation",
    "add_a_weighting.md": "sureness",
    "add_a_backend.md": "linear_npz",
}
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)

# Runs in a process of its own, so that the guest is known to nobody else's tests.
_CONFTEST = """
from pathlib import Path
from foundation import registry
registry.add_guest_file(Path(__file__).with_name({name!r} + ".py"))
"""
_TRAIN = """
from tests.pipelines import toy
from pipelines.loop import train

def losses(**distill):
    epochs = list(train(toy.job(epochs=6, config=toy.objective(**distill)), toy.world()))
    return [epoch.losses["total"] for epoch in epochs]

def test_it_trains():
    mine, plain = losses(**{setting!r}), losses()
    assert all(value == value for value in mine)
    assert mine != plain
    assert mine[-1] < mine[0]
"""
_PREFLIGHT = """
import numpy as np
from teachers.build import context_for, load_teacher
from teachers.config import TeacherConfig
from teachers.preflight import preflight
from teachers.row_keys import row_keys

class Rows:
    def __init__(self):
        self.x = np.random.default_rng(0).normal(size=(40, 3))
        self.keys = row_keys({"x": self.x})
    def __len__(self):
        return len(self.x)
    def take(self, positions):
        return {"x": self.x[positions]}

def test_preflight_accepts_it(tmp_path):
    np.savez(tmp_path / "line.npz", weights=np.eye(3)[:, :2], bias=np.zeros(2))
    config = TeacherConfig.model_validate({"backend": {"kind": "linear_npz", "path": "line.npz", "column": "x"}})
    context = context_for("line", config, ("a", "b"), tmp_path)
    report = preflight(load_teacher("line", config, context), Rows(), classes=("a", "b"), batch_size=8)
    assert report.rows > 0
"""


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / "tutorials" / page).read_text(encoding="utf-8")
    return [body for found, body in _BLOCK.findall(text) if found == language]


@pytest.mark.parametrize(("page", "name"), TUTORIALS.items())
def test_following_the_page_works(page: str, name: str, tmp_path: Path) -> None:
    guest, test = blocks(page, "python")
    assert test.startswith(f"# test_{name}.py")
    (tmp_path / f"{name}.py").write_text(guest)
    (tmp_path / f"test_{name}.py").write_text(test)
    (tmp_path / "conftest.py").write_text(_CONFTEST.format(name=name))
    setting = {"method": {"kind": name}} if page == "add_a_loss.md" else {"weighting": {"kind": name}}
    own = _PREFLIGHT if page == "add_a_backend.md" else _TRAIN.replace("{setting!r}", repr(setting))
    (tmp_path / "test_use.py").write_text(own)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("page", TUTORIALS)
def test_the_code_keeps_the_house_rules(page: str) -> None:
    tree = ast.parse(blocks(page, "python")[0])
    assert rules.unsafe(tree, page) == []
    assert rules.long_functions(tree) == []
    assert ast.get_docstring(tree)


@pytest.mark.parametrize("page", TUTORIALS)
def test_the_yaml_reads(page: str) -> None:
    for text in blocks(page, "yaml"):
        found: Any = yaml.safe_load(text)
        assert isinstance(found, dict)
