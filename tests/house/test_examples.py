"""The examples are what they say they are: short, and a configuration that passes `check`."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from orchestrator.config.load import load_config
from tests.house.source import ROOT

EXAMPLES = sorted((ROOT / "examples").rglob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_a_configuration_passes_check(path: Path) -> None:
    """With the files that its own first lines give to `--plugin`."""
    guests = re.findall(r"--plugin (\S+)", path.read_text(encoding="utf-8"))
    load_config(path, [], [path.parent / guest for guest in guests])


def test_the_quickstart_is_short_and_valid() -> None:
    path = ROOT / "examples" / "quickstart.py"
    assert path.read_text(encoding="utf-8").count("\n") < 30
    spec = importlib.util.spec_from_file_location("quickstart", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from orchestrator.api import plan

    assert plan(module.CONFIG, base_dir=ROOT / "examples")
