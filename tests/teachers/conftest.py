"""Guests installed by a test leave with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from foundation import registry


@pytest.fixture(autouse=True)
def guests_leave(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_guests", dict(registry._guests))
    monkeypatch.setattr(registry, "_modules", dict(registry._modules))
    yield
