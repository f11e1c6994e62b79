"""Fake run folders, each made once; a test that changes one copies it first."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.orchestrator.report.fake_run import make_run


@pytest.fixture(scope="session")
def fixed_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with labels; not to be changed."""
    return make_run(tmp_path_factory.mktemp("runs") / "fixed")


@pytest.fixture(scope="session")
def unlabelled_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run without any label; not to be changed."""
    return make_run(tmp_path_factory.mktemp("runs") / "unlabelled", labelled=False)


@pytest.fixture
def run_dir(fixed_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may change."""
    return Path(shutil.copytree(fixed_run, tmp_path / "run"))


@pytest.fixture
def edit(run_dir: Path) -> Callable[..., None]:
    """Changes a top-level value of one of the run's JSON files."""
    import json

    def change(name: str, **values: object) -> None:
        path = run_dir / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change
