"""The order of rows: pure, complete, the same for any number of workers, and golden."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.order import ORDER_VERSION, Stream, permutation, rank_slice

PERMUTATION_0 = [1, 0, 9, 2, 5, 8, 4, 7, 6, 3]
PERMUTATION_7 = [8, 2, 1, 3, 7, 9, 4, 0, 6, 5]


def stream(count: int, batch: int, leading: bool = True, seed: int = 5) -> Stream:
    return Stream("rows", np.arange(count) * 10, batch, seed, leading)


def test_golden_permutations() -> None:
    """A change here needs a new ORDER_VERSION: saved states would go on with other rows."""
    assert ORDER_VERSION == 1
    assert permutation(0, 0, 10, "transfer").tolist() == PERMUTATION_0
    assert permutation(2**63, 7, 10, "labelled").tolist() == PERMUTATION_7


def test_words_are_raw_philox_keyed_by_seed_and_stream() -> None:
    from blake3 import blake3

    key = [3, int.from_bytes(blake3(b"x").digest()[:8], "big")]
    words = np.random.Philox(key=np.array(key, dtype=np.uint64), counter=np.array([0, 0, 9, 1], dtype=np.uint64))
    assert permutation(3, 9, 50, "x").tolist() == np.argsort(words.random_raw(50), kind="stable").tolist()


@given(st.integers(0, 2**64 - 1), st.integers(0, 10**6), st.integers(0, 60))
@settings(max_examples=40)
def test_every_row_once(seed: int, epoch: int, count: int) -> None:
    assert sorted(permutation(seed, epoch, count, "s")) == list(range(count))


def test_seed_epoch_and_stream_all_matter() -> None:
    orders = {tuple(permutation(*key)) for key in [(0, 0, 40, "a"), (1, 0, 40, "a"), (0, 1, 40, "a"), (0, 0, 40, "b")]}
    assert len(orders) == 4


@given(st.integers(1, 40), st.integers(1, 50))
@settings(max_examples=40)
def test_an_epoch_of_the_leading_stream_is_every_row_once(count: int, batch: int) -> None:
    one = stream(count, batch)
    batches = one.epoch(3, one.steps)
    assert sorted(np.concatenate(batches)) == [10 * row for row in range(count)]
    assert all(len(part) == min(batch, count) for part in batches[:-1]) and len(batches[-1]) > 0


@given(st.integers(1, 30), st.integers(1, 40), st.integers(1, 7))
@settings(max_examples=40)
def test_another_stream_runs_on_across_epochs(count: int, batch: int, steps: int) -> None:
    one = stream(count, batch, leading=False)
    several = [part for epoch in range(4) for part in one.epoch(epoch, steps)]
    assert all(len(part) == min(batch, count) for part in several)
    joined = np.concatenate(several)
    whole = len(joined) // count * count
    for start in range(0, whole, count):
        assert sorted(joined[start : start + count]) == [10 * row for row in range(count)]
    # Where the epochs lie makes no difference.
    assert np.array_equal(joined, np.concatenate(one.epoch(0, 4 * steps)))


@pytest.mark.parametrize("world", [1, 2, 3, 5])
@pytest.mark.parametrize("length", [0, 1, 2, 7, 128])
def test_ranks_cut_the_same_global_batch(world: int, length: int) -> None:
    batch = np.arange(length)
    parts = [batch[rank_slice(length, rank, world)] for rank in range(world)]
    assert np.array_equal(np.concatenate(parts), batch)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
