"""The small files of a run folder are read as strictly as a configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from foundation.errors import CorruptionError, DataError, FormatError
from orchestrator.report.inputs import Counters, read_inputs, write_input

COUNTS = dict.fromkeys(Counters.model_fields, 2)


def test_what_is_written_is_read(run_dir: Path) -> None:
    write_input(run_dir, Counters(**COUNTS))
    assert read_inputs(run_dir).counters == Counters(**COUNTS)
    assert not list(run_dir.glob(".*")), "temporary files are left"


@pytest.mark.parametrize("name", ["roster.json", "teachers.json", "counters.json", "lineage.json", "context.json"])
def test_a_missing_file_is_named(run_dir: Path, name: str) -> None:
    (run_dir / name).unlink()
    with pytest.raises(DataError, match="missing") as caught:
        read_inputs(run_dir)
    assert name in str(caught.value.where)


def test_a_run_without_search_is_fine(run_dir: Path) -> None:
    (run_dir / "search.json").unlink()
    (run_dir / "trials.jsonl").unlink()
    found = read_inputs(run_dir)
    assert found.search is None and found.trials == ()


def test_unknown_keys_and_broken_json_are_refused(run_dir: Path, edit: Callable[..., None]) -> None:
    edit("counters.json", extra=1)
    with pytest.raises(FormatError, match=r"(?s)another form.*extra"):
        read_inputs(run_dir)
    (run_dir / "counters.json").write_text("{")
    with pytest.raises(CorruptionError):
        read_inputs(run_dir)


def test_a_broken_trial_is_named_by_its_line(run_dir: Path) -> None:
    lines = (run_dir / "trials.jsonl").read_text().splitlines()
    (run_dir / "trials.jsonl").write_text("\n".join([*lines[:4], '{"key": 3}', *lines[5:]]))
    with pytest.raises(FormatError) as caught:
        read_inputs(run_dir)
    assert str(caught.value.where).endswith("trials.jsonl:5")
