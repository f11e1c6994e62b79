"""No stage of these tests may start a cluster."""

from __future__ import annotations

from typing import NoReturn

import pytest

from foundation import registry
from orchestrator.cluster.session import Session


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(session: Session) -> NoReturn:
        raise AssertionError("a cluster was started")

    monkeypatch.setattr(Session, "start", refuse)
    for known in ("_guests", "_modules"):  # every test brings guests of the same names
        monkeypatch.setattr(registry, known, dict(getattr(registry, known)))
