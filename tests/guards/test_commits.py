"""A race inside a commit, made to happen: another writer is faster between reading the state and writing the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from teachers.cache.cache import LabelCache
from teachers.cache.config import CacheConfig
from teachers.cache.stores.local import LocalStore
from tests.teachers.cache.labels import key_of, rows_shown, write


def test_a_generation_that_lost_the_race_is_decided_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = (LabelCache.open(CacheConfig(), tmp_path).entry(key_of()) for _ in range(2))
    my_receipt, other_receipt = write(mine, range(10)), write(other, range(5, 15))
    put, raced = LocalStore.put_if_absent, []

    def slow_put(store: LocalStore, name: str, data: bytes) -> bool:
        if "/manifest/" in name and not raced:
            raced.append(name)
            other.publish([other_receipt])
        return put(store, name, data)

    monkeypatch.setattr(LocalStore, "put_if_absent", slow_put)
    assert mine.publish([my_receipt]) == 2
    fresh = LabelCache.open(CacheConfig(), tmp_path).entry(key_of())
    assert rows_shown(fresh, range(20)) == set(range(15))
    assert fresh.committed().rows == 15
