"""What can't work is refused in plain words, with the exit code that says what kind of trouble it is (F6, F10, F27)."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.end_to_end.drive import ROOT, ROWS, Project, verb

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("refusals"))


def test_a_resource_that_no_node_has_is_named(project: Project) -> None:
    start = time.monotonic()
    done = project.run("label", "infeasible", "--set", "teachers.plain.pool.resources={nope: 1}")
    assert done.code == 3 and done.json["error"]["code"] == "E-INFEASIBLE"
    assert "nope" in done.stderr and "plain" in done.stderr
    assert time.monotonic() - start < 60
    assert done.left_behind() == {}


def test_a_wrong_number_of_classes_is_refused_before_any_label(project: Project) -> None:
    done = project.run("label", "classes", "--set", "teachers.turned.classes=[a, b]")
    assert done.code == 3 and "turned" in done.stderr, done.stderr
    assert done.of("UnitDone") == [] and done.left_behind() == {}


def test_full_storage_names_place_and_bytes_and_the_rest_follows_later(project: Project) -> None:
    project.full(True)
    done = project.run("label", "filled")
    assert done.code == 5 and done.json["error"]["code"] == "E-FULL", done.stderr
    assert str(project.folder / "cache") in done.json["error"]["where"] and "bytes" in done.stderr
    assert "Traceback" not in done.stderr and done.left_behind() == {}
    project.full(False)
    again = project.run("label", "filled")
    assert again.code == 0 and again.counters["rows_labelled"] == 2 * ROWS


def test_a_users_own_pipelines_folder_is_named(project: Project, tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "__init__.py").write_text("raise RuntimeError('not ours')\n")
    shadowed = verb("check", project.config, cwd=tmp_path)  # `python -c`: the working directory comes first
    assert shadowed.returncode == 2 and str(tmp_path / "pipelines") in shadowed.stderr
    assert "Traceback" not in shadowed.stderr


def test_a_folder_that_only_ray_workers_would_take_for_ours_is_named(project: Project, tmp_path: Path) -> None:
    (tmp_path / "teachers").mkdir()
    (tmp_path / "teachers" / "__init__.py").write_text("raise RuntimeError('not ours')\n")
    script = tmp_path / "bin" / "raydistill"
    script.parent.mkdir()
    script.write_text("from orchestrator.cli.main import entry\nentry()\n")
    done = project.run("label", "beside", cache="beside-cache", program=[str(script)], cwd=tmp_path)
    assert done.code == 2 and str(tmp_path / "teachers") in done.json["error"]["where"], done.stderr
    assert done.processes == {}


def test_a_foreign_package_on_a_worker_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "__init__.py").write_text("")
    look = (
        "import sys; sys.path.append(sys.argv[1]); import foundation; sys.path.insert(0, sys.argv[2]);"
        "from foundation.shadow import check_not_shadowed; check_not_shadowed()"
    )
    done = subprocess.run([sys.executable, "-c", look, str(ROOT), str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1 and str(tmp_path / "pipelines") in done.stderr
