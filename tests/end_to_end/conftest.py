"""Runs that several files look at: made once, never changed. Who wants to hurt one, hurts a copy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.drive import Done, Project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Done]:
    """A project whose run `first` has finished."""
    project = Project(tmp_path_factory.mktemp("finished"))
    done = project.run("run", "first")
    assert done.code == 0, done.stderr
    return project, done


@pytest.fixture
def copied_cache(finished: tuple[Project, Done], tmp_path: Path) -> Callable[[], Path]:
    """Copies the cache of `finished`."""

    def copy() -> Path:
        return Path(shutil.copytree(finished[0].folder / "cache", tmp_path / "cache"))

    return copy
