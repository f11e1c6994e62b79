"""F33: records of another format version are refused, or read and kept, as the format says."""

from __future__ import annotations

from pathlib import Path

import pytest

from foundation.errors import FormatError
from teachers.cache.sealed import unseal
from tests.teachers.cache.labels import rewrite, rows_shown, write
from tests.teachers.cache.processes import open_entry

ROWS = range(40)


@pytest.mark.parametrize("pattern", ["format.json", "entries/*/manifest/00000005.json", "entries/*/receipts/*.json"])
def test_another_major_is_refused_with_the_version_needed(stored: Path, pattern: str) -> None:
    rewrite(next(stored.glob(pattern)), lambda body: body.update(format={"major": 2, "minor": 0}))
    with pytest.raises(FormatError, match="another major") as caught:
        open_entry(stored).committed()
        open_entry(stored).receipts()
    assert caught.value.found == "format 2.0"


def test_an_unknown_feature_is_refused(stored: Path) -> None:
    rewrite(stored / "format.json", lambda body: body.update(features=["sharded-by-moon-phase"]))
    with pytest.raises(FormatError, match="features"):
        open_entry(stored)


def test_fields_of_a_newer_minor_are_read_and_kept(stored: Path) -> None:
    def newer(body: dict[str, object]) -> None:
        body.update(format={"major": 1, "minor": 7}, mood="sunny")
        body["change"]["added"][0].update(colour="blue")  # type: ignore[index]

    newest = sorted(stored.glob("entries/*/manifest/*"))[-1]
    rewrite(newest, newer)
    entry = open_entry(stored)
    assert rows_shown(entry, ROWS) == set(ROWS)
    for start in range(40, 80):
        entry.publish([write(entry, [start])])
    folds = [unseal(path.read_bytes(), "") for path in sorted(stored.glob("entries/*/manifest/*"))]
    fold = [body for body in folds if body["fold"]][-1]
    assert fold["mood"] == "sunny"
    assert [record.get("colour") for record in fold["fold"]["shards"]].count("blue") == 1
