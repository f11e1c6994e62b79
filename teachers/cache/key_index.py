"""Finds row keys among millions. Keys are digests, so their first 64 bits sort them well and nearly always decide."""

from __future__ import annotations

import numpy as np

from teachers.row_keys import KEY_DTYPE, RowKeys


class KeyIndex:
    """Positions of keys in `keys_N` (S16 [N]). Where a key occurs twice, the first position wins."""

    def __init__(self, keys_N: RowKeys) -> None:
        self._halves_N2 = _halves(keys_N)
        self._order_N = np.argsort(self._halves_N2[:, 0], kind="stable")
        self._sorted_N = self._halves_N2[self._order_N, 0]

    def __len__(self) -> int:
        return len(self._order_N)

    def locate(self, needles_M: RowKeys) -> np.ndarray:
        """Returns int64 [M]: the first position of each needle, or -1."""
        needles_M2 = _halves(needles_M)
        if len(self) == 0:
            return np.full(len(needles_M2), -1, np.int64)
        place_M = np.minimum(np.searchsorted(self._sorted_N, needles_M2[:, 0]), len(self) - 1)
        found_M = self._order_N[place_M].astype(np.int64)
        same_M = self._halves_N2[found_M] == needles_M2
        found_M[~same_M.all(axis=1)] = -1
        for needle in np.flatnonzero(same_M[:, 0] & ~same_M[:, 1]):  # two keys share their first half
            found_M[needle] = self._scan(int(place_M[needle]), needles_M2[needle])
        return found_M

    def first_of_its_kind(self) -> np.ndarray:
        """Returns bool [N]: False for keys that occur at an earlier position already."""
        first_N = np.ones(len(self), bool)
        if np.any(self._sorted_N[1:] == self._sorted_N[:-1]):
            first_N = self.locate(self._halves_N2.reshape(-1).view(KEY_DTYPE)) == np.arange(len(self))
        return first_N

    def _scan(self, place: int, needle_2: np.ndarray) -> int:
        while place < len(self) and self._sorted_N[place] == needle_2[0]:
            position = int(self._order_N[place])
            if self._halves_N2[position, 1] == needle_2[1]:
                return position
            place += 1
        return -1


def _halves(keys_N: RowKeys) -> np.ndarray:
    return np.ascontiguousarray(keys_N, KEY_DTYPE).view("<u8").reshape(-1, 2)
