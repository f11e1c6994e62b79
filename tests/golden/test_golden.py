"""Our numbers are the originals' numbers, and the machinery that says so can say no."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.golden.__main__ import main
from tests.golden.case import DATA, Case, cases
from tests.golden.check import Differs, Stated, check
from tests.golden.suite import judge, known

ENTRIES = known()
KNOWN = [case for case in cases() if case.id in ENTRIES]


@pytest.mark.parametrize("case", KNOWN, ids=lambda case: f"{case.id}-{case.name}")
def test_agrees_with_the_original(case: Case) -> None:
    assert judge(case, ENTRIES).complaints == ()


def _case(**arrays: object) -> Case:
    return Case("made_up", "case1", {name: np.asarray(value) for name, value in arrays.items()})


def test_a_wrong_value_a_wrong_gradient_and_a_forgotten_array_are_found() -> None:
    good = _case(x=np.array([1.0, 2.0]), loss=5.0, grad_x=np.array([2.0, 4.0]))
    assert check(good, lambda case: {"loss": case.leaf("x").square().sum()}) == []
    off = _case(x=np.array([1.0, 2.0]), loss=5.0 + 1e-6, grad_x=np.array([2.0, 4.0 + 1e-4]), extra=1.0)
    complaints = check(off, lambda case: {"loss": case.leaf("x").square().sum()})
    assert [line.split(":")[0].split("[")[0] for line in complaints] == ["loss", "grad_x", "extra"]


def test_nan_never_agrees() -> None:
    case = _case(x=np.array([1.0]), loss=1.0)
    assert check(case, lambda case: {"loss": case.leaf("x").sum() * float("nan")})


def test_a_stated_factor_is_applied_to_value_and_gradient() -> None:
    case = _case(x=np.array([1.0, 2.0]), loss=2.5, grad_x=np.array([1.0, 2.0]))
    assert check(case, lambda case: {"loss": Stated(case.leaf("x").square().sum(), 0.5, "halved")}) == []


def test_a_case_that_deviates_must_differ() -> None:
    arrays = {"x": np.array([1.0, 2.0]), "loss": 5.0, "status": "original-deviates"}
    assert check(_case(**arrays), lambda case: {"loss": Differs(case.leaf("x").square().sum(), "why")})
    assert check(_case(**arrays), lambda case: {"loss": Differs(case.leaf("x").sum(), "why")}) == []
    assert check(_case(**arrays), lambda case: {"loss": case.leaf("x").square().sum()})


def test_another_folder_can_be_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.load(DATA / "kd.npz") as stored:
        arrays = {key: stored[key] for key in stored.files if key.startswith("case1/")}
    monkeypatch.setenv("GOLDEN_DIR", str(tmp_path))
    np.savez(tmp_path / "kd.npz", **arrays)
    assert main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"cases": 1, "failed": []}
    np.savez(tmp_path / "kd.npz", **{**arrays, "case1/loss": arrays["case1/loss"] * 1.001})
    assert main([]) == 1
    np.savez(tmp_path / "kd.npz", **arrays)
    np.savez(tmp_path / "nobody_knows_this.npz", **arrays)
    assert main(["--known"]) == 0
    capsys.readouterr()
    assert main(["--json"]) == 1
    assert [bad["id"] for bad in json.loads(capsys.readouterr().out)["failed"]] == ["nobody_knows_this"]


def test_an_empty_folder_is_not_a_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDEN_DIR", str(tmp_path))
    assert main([]) == 1


def test_the_command_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.golden", "--unknown"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=DATA.parents[2],
    )
    assert done.returncode == 2 and "usage" in done.stderr
