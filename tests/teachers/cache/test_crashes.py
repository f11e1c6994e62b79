"""F7 and F8: SIGKILL at a grid of byte positions and at every named step; nothing acknowledged is lost, nothing half
written is visible, and the next run goes on where the dead one stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from teachers.cache import crash, layout
from teachers.cache.entry import Entry
from tests.teachers.cache.labels import rows_shown
from tests.teachers.cache.processes import acked, open_entry, start

UNITS = [[0, 8], [8, 8], [16, 8]]
ROWS = range(24)
SHARD_BYTES = 16_930  # 8 rows of 10 classes, fp16
GRID = {
    "data": (0, 1, 8, 4095, 4096, 4097, 9000, SHARD_BYTES // 2, SHARD_BYTES - 1, SHARD_BYTES),
    "receipts": (0, 1, 84, 200, 500),
    "manifest": (0, 1, 84, 300, 900),
    "": (0, 1, 100),
}


def roots_of(folder: Path, points: list[str], links: bool) -> list[Path]:
    """Lets one process per point die there; returns the roots they left behind."""
    roots = [folder / str(number) / "cache" for number in range(len(points))]
    for root in roots:
        root.parent.mkdir(parents=True)
    jobs = [{"root": str(r), "units": UNITS, "crash": p, "links": links} for r, p in zip(roots, points, strict=True)]
    statuses = start(folder, jobs)
    assert dict(zip(points, statuses, strict=True)) == dict.fromkeys(points, 9)
    return roots


def check_after_death(root: Path) -> None:
    """What the next reader finds: all that was acknowledged, each value right, every visible shard whole."""
    if not (root / layout.FORMAT_NAME).exists():
        assert acked(root.parent) == set()
        return
    entry = open_entry(root)
    assert acked(root.parent) <= rows_shown(entry, ROWS)
    assert entry.committed().rows == len(rows_shown(entry, ROWS))
    assert [damage for damage in entry.audit(paranoid=True) if damage.kind == "shard"] == []


def names_without_temps(entry: Entry) -> list[str]:
    return layout.shards_in(entry.store, entry.id)


def test_killed_in_the_middle_of_a_write(tmp_path: Path) -> None:
    points = [f"bytes.{folder}={size}" for folder, sizes in GRID.items() for size in sizes]
    roots = roots_of(tmp_path, points, True)
    for point, root in zip(points, roots, strict=True):
        check_after_death(root)
        if point.startswith("bytes.data"):
            assert names_without_temps(open_entry(root)) == []
    assert start(tmp_path, [{"root": str(root), "units": UNITS} for root in roots]) == [0] * len(roots)
    for root in roots:
        assert rows_shown(open_entry(root, paranoid=True), ROWS) == set(ROWS) >= acked(root.parent)
        assert open_entry(root).audit(paranoid=True) == []


def test_nothing_is_written_in_place_where_links_exist(tmp_path: Path) -> None:
    roots = [tmp_path / str(number) / "cache" for number in range(len(GRID))]
    for root in roots:
        root.parent.mkdir()
    points = [f"bytes.{folder}=1@place" for folder in GRID]
    jobs = [{"root": str(r), "units": UNITS, "crash": point} for r, point in zip(roots, points, strict=True)]
    assert start(tmp_path, jobs) == [0] * len(roots)  # nobody came by


def test_killed_in_place_where_links_do_not_exist(tmp_path: Path) -> None:
    """There a partial object may lie under its final name; no digest matches, so the next writer makes room."""
    points = [f"bytes.{folder}={sizes[-2]}" for folder, sizes in GRID.items()]
    roots = [tmp_path / str(number) / "cache" for number in range(len(points))]
    for root in roots:
        root.parent.mkdir()
    partial = [
        {"root": str(r), "units": UNITS, "crash": f"{p}@place", "links": False}
        for r, p in zip(roots, points, strict=True)
    ]
    assert start(tmp_path, partial) == [9] * len(roots)
    whole = [{"root": str(root), "units": UNITS, "links": False} for root in roots]
    assert start(tmp_path, whole) == [0] * len(roots)
    for root in roots:
        assert rows_shown(open_entry(root, paranoid=True), ROWS) == set(ROWS)


@pytest.mark.parametrize("links", [True, False], ids=["link", "in_place"])
def test_killed_at_every_step(tmp_path: Path, links: bool) -> None:
    points = [point for point in crash.POINTS if point != "set_aside.moved"]
    roots = roots_of(tmp_path, points, links)
    shards = {}
    for point, root in zip(points, roots, strict=True):
        check_after_death(root)
        shards[point] = layout.shards_in(open_entry(root).store, open_entry(root).id) if root.exists() else []
    assert start(tmp_path, [{"root": str(root), "units": UNITS, "links": links} for root in roots]) == [0] * len(roots)
    for point, root in zip(points, roots, strict=True):
        entry = open_entry(root, paranoid=True)
        assert rows_shown(entry, ROWS) == set(ROWS)
        assert entry.audit(paranoid=True) == []
        # What was stored is adopted, not labelled again: each unit was paid for once.
        assert sum(receipt.rows for receipt in entry.receipts()) == len(ROWS)
        assert set(shards[point]) <= set(entry.ledger.state().shards)
    assert len(shards["write.shard_stored"]) == 1 and len(shards["put.data.written"]) == 0


def test_every_named_step_is_reached(tmp_path: Path) -> None:
    """A step that nothing passes through would be tested by nobody (`set_aside.moved` has its own test below)."""
    source = "".join(path.read_text() for path in Path(crash.__file__).parent.rglob("*.py"))
    for point in crash.POINTS:
        if not point.startswith("put."):
            assert f'crash_point("{point}")' in source
    for step in crash.STEPS:
        assert f'crash_point(f"put.{{short}}.{step}")' in source


def test_killed_between_quarantine_and_generation(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    assert start(tmp_path, [{"root": str(root), "units": UNITS}]) == [0]
    path = next((root / "entries").glob("*/data/*"))
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)
    again = {"root": str(root), "units": UNITS, "set_aside": True}
    assert start(tmp_path, [{**again, "crash": "set_aside.moved"}]) == [9]
    assert [damage.found for damage in open_entry(root).audit()] == ["no file"]
    assert start(tmp_path, [again]) == [0]
    assert rows_shown(open_entry(root, paranoid=True), ROWS) == set(ROWS)
    assert len(list((root / "entries").glob("*/quarantine/*"))) == 1
