"""One small private Ray cluster for all Ray tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import pytest

from orchestrator.cluster.config import ClusterConfig
from orchestrator.cluster.session import Session


@pytest.fixture(scope="session")
def ray_session() -> Iterator[Session]:
    """A private cluster with two logical CPUs and fast polling."""
    with Session(ClusterConfig(num_cpus=2, object_store_mb=150, health_check_s=0.1), namespace="tests") as session:
        yield session


class Untouched(Session):
    """A session that nobody may need."""

    def start(self) -> NoReturn:
        raise AssertionError("Ray was needed")


@pytest.fixture
def no_session() -> Session:
    """For what must be done without Ray: what is on record already."""
    return Untouched()
