"""Keys are found among many, also when their first halves are equal; the first of equal keys wins."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from teachers.cache.key_index import KeyIndex
from teachers.row_keys import from_bytes

# Few different halves, zero bytes at the end included (numpy strips those from single items).
halves = st.sampled_from([bytes(8), b"aaaaaaaa", b"aaaaaaa\0", b"\xff" * 8])
keys = st.lists(st.tuples(halves, halves).map(b"".join), max_size=20)


@given(keys, keys)
@hypothesis_settings(max_examples=200)
def test_agrees_with_a_dictionary(stored: list[bytes], wanted: list[bytes]) -> None:
    index = KeyIndex(from_bytes(b"".join(stored)))
    first: dict[bytes, int] = {}
    for position, key in enumerate(stored):
        first.setdefault(key, position)
    assert index.locate(from_bytes(b"".join(wanted))).tolist() == [first.get(key, -1) for key in wanted]
    assert index.first_of_its_kind().tolist() == [first[key] == position for position, key in enumerate(stored)]


def test_many_random_keys() -> None:
    stored = np.frombuffer(np.random.default_rng(0).bytes(16 * 50_000), "S16")
    assert np.array_equal(KeyIndex(stored).locate(stored[::-1]), np.arange(50_000)[::-1])
