"""F22: several writers of one cache at once. Their answers differ, so a row that is shown twice or mixed is seen."""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
import pytest

from tests.teachers.cache.labels import keys_array, logits_of
from tests.teachers.cache.processes import acked, open_entry, start

ROWS = range(48)
WRITERS = 3


def race(folder: Path, seed: int) -> None:
    """Three processes label the same rows in other orders and other cuts; one of them may die on the way."""
    rng = random.Random(seed)
    root = folder / str(seed) / "cache"
    root.parent.mkdir()
    jobs = []
    for answer in range(WRITERS):
        size = rng.choice((4, 6, 8, 12))
        units = [[first, size] for first in range(0, len(ROWS), size)]
        rng.shuffle(units)
        crash = rng.choice(("", "", "", "publish.start", "write.shard_stored", "put.manifest.linked"))
        jobs.append({"root": str(root), "units": units, "answer": answer, "crash": crash, "start": time.time() + 0.5})
    statuses = start(folder, jobs, together=True)
    assert set(statuses) <= {0, 9}
    check(root, complete=0 in statuses)
    if 0 not in statuses:
        assert start(folder, [{**jobs[0], "crash": "", "start": 0}]) == [0]
        check(root, complete=True)


def check(root: Path, *, complete: bool) -> None:
    entry = open_entry(root, paranoid=True)
    assert entry.audit(paranoid=True) == []
    committed = entry.committed()
    assert len(set(map(bytes, committed.keys.view("V16")))) == committed.rows == len(committed.keys)
    logits, present = entry.reader().gather(keys_array(ROWS))
    assert present.sum() == committed.rows
    answers = np.stack([logits_of(ROWS, answer) for answer in range(WRITERS)])
    assert (answers == logits).all(axis=2).any(axis=0)[present].all()
    assert acked(root.parent) <= set(np.flatnonzero(present).tolist())
    if complete:
        assert present.all()
        assert len(entry.ledger.state().receipts) == len(entry.receipts()) or entry.recover() == []


def test_racing_writers(tmp_path: Path) -> None:
    for seed in range(8):
        race(tmp_path, seed)


@pytest.mark.slow
def test_racing_writers_for_fifty_rounds(tmp_path: Path) -> None:
    for seed in range(100, 150):
        race(tmp_path, seed)
