"""One flipped bit: named with both digests, set aside, its rows alone labelled again, and the same numbers (F19)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from foundation.fingerprint import digest_file
from tests.end_to_end.drive import UNIT_ROWS, Done, Project, numbers, shards

pytestmark = pytest.mark.ray
Finished = tuple[Project, Done]


def _flip(path: Path, *, secretly: bool = False) -> tuple[str, str]:
    """Turns one bit of the labels around; returns digests before and after. `secretly` keeps size, time and inode."""
    before, facts = digest_file(path), path.stat()
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(facts.st_size // 2)
        byte = file.read(1)[0]
        file.seek(facts.st_size // 2)
        file.write(bytes([byte ^ 0x10]))
    path.chmod(facts.st_mode)
    if secretly:
        os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    return before, digest_file(path)


def test_a_flipped_bit_is_mended_and_the_result_is_the_same(
    finished: Finished, copied_cache: Callable[[], Path]
) -> None:
    project, _ = finished
    cache = copied_cache()
    shard = next(iter(shards(cache)))
    before, after = _flip(shard)
    done = project.run("run", "mended", cache=str(cache))
    assert done.code == 0, done.stderr
    assert shard.stem[:12] in done.stderr and before in done.stderr and after in done.stderr
    assert not shard.exists() or digest_file(shard) == before
    aside = [path for path in cache.rglob("*") if path.is_file() and "quarantine" in path.parts]
    assert after in {digest_file(path) for path in aside}
    assert done.counters["rows_labelled"] in (UNIT_ROWS, 150 % UNIT_ROWS)
    assert sum(event["rows"] for event in done.of("UnitDone")) == done.counters["rows_labelled"]
    assert numbers(project.folder / "mended") == numbers(project.folder / "first")
    assert done.left_behind() == {}


def test_a_flip_that_leaves_no_trace_is_found_by_the_paranoid(
    finished: Finished, copied_cache: Callable[[], Path]
) -> None:
    project, _ = finished
    cache = copied_cache()
    assert project.run("label", "looks", cache=str(cache)).code == 0  # verifies the copies, and remembers it
    shard = next(iter(shards(cache)))
    before, after = _flip(shard, secretly=True)
    trusting = project.run("label", "trusts", cache=str(cache))
    assert (trusting.code, trusting.counters["rows_labelled"]) == (0, 0)
    paranoid = project.run("label", "doubts", "--paranoid", cache=str(cache))
    assert paranoid.code == 0 and paranoid.counters["rows_labelled"] > 0
    assert before in paranoid.stderr and after in paranoid.stderr
    shutil.rmtree(cache)
