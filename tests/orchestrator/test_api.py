"""The public module: light to import, the only door, and never a stranger's package behind it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import raydistill as rd
from tests.orchestrator.example import write

ROOT = Path(rd.__file__).resolve().parent
FLOORS = ("foundation", "teachers", "pipelines", "orchestrator")


def python(code: str, cwd: Path, *path: Path) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter whose import path is `path`, then raydistill's home."""
    begin = f"import sys; sys.path[:0] = {[*map(str, path), str(ROOT)]!r}\n"
    return subprocess.run([sys.executable, "-c", begin + code], cwd=cwd, capture_output=True, text=True, timeout=60)


def test_public_names_exist_and_are_listed() -> None:
    for name in rd.__all__:
        if name != "run":  # needs Ray
            assert getattr(rd, name) is not None
    assert dir(rd) == sorted(rd.__all__)
    with pytest.raises(AttributeError, match="it has"):
        rd.nothing  # noqa: B018


def test_load_and_plan_take_files_mappings_and_loaded(tmp_path: Path) -> None:
    path = write(tmp_path)
    loaded = rd.load_config(path)
    plans = [rd.plan(path), rd.plan(str(path)), rd.plan(loaded), rd.plan(loaded.config.tree(), base_dir=tmp_path)]
    assert len({plan.fingerprint for plan in plans}) == 1
    with pytest.raises(rd.errors.ConfigError):
        rd.plan(path, sets=["train.epochs=none"])


@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("form", ["package", "module", "folder"])
def test_a_foreign_package_of_our_name_is_named(tmp_path: Path, floor: str, form: str) -> None:
    place = tmp_path / (f"{floor}.py" if form == "module" else floor)
    if form == "module":
        place.write_text("")
    else:
        place.mkdir()
        (place / ("__init__.py" if form == "package" else "notes.txt")).write_text("")
    done = python("import raydistill", tmp_path, tmp_path)
    if form == "folder":  # a folder without __init__.py never wins over a package
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode != 0 and str(place) in done.stderr and floor in done.stderr


@pytest.mark.parametrize("floor", FLOORS[1:])
def test_the_command_names_it_too(tmp_path: Path, floor: str) -> None:
    (tmp_path / floor).mkdir()
    (tmp_path / floor / "__init__.py").write_text("")
    done = python("import foundation.shadow as s; s.check_not_shadowed()", tmp_path, tmp_path)
    assert "E-PLUGIN" in done.stderr and str(tmp_path / floor) in done.stderr


def test_ours_is_ours() -> None:
    rd.check_not_shadowed()


def test_the_import_is_light(tmp_path: Path) -> None:
    done = python(
        "import raydistill; print(sorted(m for m in ('torch', 'ray', 'pydantic') if m in sys.modules))", tmp_path
    )
    assert done.stdout == "[]\n"
