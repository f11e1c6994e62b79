"""Which rows make global batch b of epoch e: a pure function of (order version, seed, epoch, position).

No state, no worker count: 1, 2 or 3 workers cut the same global batches into slices, and a resumed run needs five
scalars. The random words are raw Philox output keyed by (seed, stream), counted from (epoch, version), and a stable
argsort turns them into a permutation: both are the same on every machine and numpy version, which numpy's Generator
methods do not promise. Raise `ORDER_VERSION` with any change; the golden test holds the present one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from foundation.fingerprint import digest

ORDER_VERSION = 1
Positions = np.ndarray[Any, np.dtype[np.int64]]


def permutation(seed: int, epoch: int, count: int, stream: str = "") -> Positions:
    """Returns the order of `count` rows in one epoch of a stream, int64 [count]. `seed` and `epoch` are >= 0."""
    key = np.array([seed, int(digest(stream.encode())[:16], 16)], dtype=np.uint64)
    counter = np.array([0, 0, epoch, ORDER_VERSION], dtype=np.uint64)
    words = np.random.Philox(key=key, counter=counter).random_raw(count)
    return np.argsort(words, kind="stable").astype(np.int64)


def rank_slice(length: int, rank: int, world: int) -> slice:
    """Returns the part of a global batch that worker `rank` of `world` takes; parts differ by one row at most."""
    return slice(length * rank // world, length * (rank + 1) // world)


@dataclass(frozen=True)
class Stream:
    """The rows of one row set, dealt out in global batches.

    The leading stream defines the epoch: every row once, a short batch at the end. Any other stream runs on beside it
    through permutation after permutation, wherever the epochs lie. A batch never holds more rows than there are; a
    stream whose batch is the whole set gives it in its own order.
    """

    name: str
    rows: Positions
    batch: int
    seed: int
    leading: bool

    @property
    def size(self) -> int:
        """Rows of a full batch."""
        return min(self.batch, len(self.rows))

    @property
    def steps(self) -> int:
        """Batches until every row was seen once."""
        return -(-len(self.rows) // self.size) if self.size else 0

    @property
    def constant(self) -> bool:
        """True where every batch is the same rows in the same order."""
        return not self.leading and self.size == len(self.rows)

    def epoch(self, epoch: int, steps: int) -> list[Positions]:
        """Returns the global batches (positions, int64) of one epoch of `steps` steps."""
        size, count = self.size, len(self.rows)
        if size == count:
            order = permutation(self.seed, epoch, count, self.name) if self.leading else np.arange(count)
            return [self.rows[order]] * steps
        if self.leading:
            order = permutation(self.seed, epoch, count, self.name)
            return [self.rows[order[step * size : (step + 1) * size]] for step in range(steps)]
        start, stop = epoch * steps * size, (epoch + 1) * steps * size
        cycles = range(start // count, -(-stop // count))
        order = np.concatenate([permutation(self.seed, cycle, count, self.name) for cycle in cycles])
        order = order[start - cycles.start * count :][: stop - start]
        return [self.rows[order[step * size : (step + 1) * size]] for step in range(steps)]
