"""Small entries with random labels, and the same labels as plain arrays to compare with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from teachers.cache.cache import LabelCache
from teachers.cache.config import CacheConfig
from teachers.cache.entry import Entry
from tests.teachers.cache.labels import key_of, keys_array, write


@pytest.fixture
def cache(tmp_path: Path) -> LabelCache:
    return LabelCache.open(CacheConfig(), tmp_path)


@pytest.fixture
def entry(cache: LabelCache) -> Entry:
    return cache.entry(key_of())


@pytest.fixture
def reopen(tmp_path: Path) -> Callable[..., Entry]:
    """Returns the entry as a fresh process would see it."""
    return lambda **options: LabelCache.open(CacheConfig(), tmp_path, **options).entry(key_of())


@pytest.fixture
def stored(entry: Entry, tmp_path: Path) -> Path:
    """Five shards of 8 rows, each with its own generation; returns the root."""
    for start in range(0, 40, 8):
        entry.publish([write(entry, range(start, start + 8))])
    entry.reader().gather(keys_array(range(40)))  # this host has verified them all
    return tmp_path / "cache"
