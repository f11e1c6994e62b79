"""`--help` and the light verbs answer at once: the command line loads neither torch nor ray."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.house.source import ROOT

HEAVY = {"torch", "ray", "sklearn", "optuna", "matplotlib"}
_SHOW = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"


def modules_after(code: str) -> set[str]:
    """Top-level modules loaded in a fresh interpreter once `code` has run."""
    command = [sys.executable, "-c", f"{code}\n{_SHOW}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("module", ["raydistill", "orchestrator.cli", "foundation.registry", "orchestrator.observe"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    assert not modules_after(f"import {module}") & HEAVY


def test_reading_a_config_model_loads_neither_torch_nor_ray() -> None:
    assert not modules_after("import orchestrator.config.root") & {"torch", "ray"}


def test_the_check_can_fail() -> None:
    assert "pyarrow" in modules_after("import pyarrow")
