"""Exactly the new rows are labelled, whatever happened to the data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.data.config import DataConfig
from pipelines.data.dataset import Dataset, open_dataset
from teachers import row_keys as keys_module
from teachers.host import TeacherHost
from teachers.label_plan import NOTHING, LabelPlan, plan_units
from teachers.row_keys import RowKeys, chunk_digests, to_hex
from tests.teachers.helpers import SomeRows, entry_for, function_teacher, some_rows

ANSWER = """
    VERSION = "1"
    def answer(inputs):
        return inputs["x"] * 2
"""


@dataclass
class Known:
    keys: RowKeys
    quarantined: dict[str, str] = field(default_factory=dict)
    covers: frozenset[str] = frozenset()


def everything(rows: SomeRows) -> np.ndarray:
    return np.arange(len(rows))


def asked(plan: LabelPlan) -> list[str]:
    return [key for unit in plan.units for key in unit.keys]


def test_everything_is_new_at_first() -> None:
    rows = some_rows(10)
    plan = plan_units("t", "e", rows, everything(rows), NOTHING, 4)
    assert [len(unit.keys) for unit in plan.units] == [4, 4, 2]
    assert asked(plan) == to_hex(rows.keys) and (plan.rows_new, plan.rows_reused, plan.rows_duplicate) == (10, 0, 0)
    assert [unit.positions for unit in plan.units][2] == (8, 9) and plan.units[0].entry == "e"


def test_equal_rows_are_labelled_once() -> None:
    rows = SomeRows(np.array([[1.0], [2.0], [1.0], [3.0], [2.0]]))
    plan = plan_units("t", "e", rows, everything(rows), NOTHING, 10)
    assert plan.units[0].positions == (0, 1, 3) and plan.rows_duplicate == 2


def test_wanted_positions_may_repeat_and_overlap() -> None:
    rows = some_rows(6)
    plan = plan_units("t", "e", rows, np.array([5, 1, 1, 5, 0]), NOTHING, 10)
    assert plan.units[0].positions == (5, 1, 0) and plan.rows_duplicate == 2


def test_quarantined_rows_are_reported_and_not_asked() -> None:
    rows = some_rows(5)
    hexes = to_hex(rows.keys)
    plan = plan_units("t", "e", rows, everything(rows), Known(rows.keys[:2], {hexes[3]: "nan", "0" * 32: "old"}), 10)
    assert asked(plan) == [hexes[2], hexes[4]] and plan.quarantined == ((hexes[3], "nan"),)
    assert (plan.rows_new, plan.rows_reused) == (2, 2)


def test_covered_chunks_are_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "CHUNK_ROWS", 4)
    monkeypatch.setattr("teachers.label_plan.CHUNK_ROWS", 4)
    rows = some_rows(10)
    chunks = chunk_digests(rows.keys)
    # Chunk 1 counts as covered though its keys aren't given: proof that nobody looked.
    plan = plan_units("t", "e", rows, everything(rows), Known(rows.keys[:1], {}, frozenset({chunks[1], "other"})), 10)
    assert plan.units[0].positions == (1, 2, 3, 8, 9) and plan.rows_reused == 5 and list(plan.chunks) == chunks


@settings(max_examples=60)
@given(st.lists(st.integers(0, 8), max_size=24), st.sets(st.integers(0, 8)), st.integers(1, 5))
def test_a_plan_is_the_difference_of_two_sets(values: list[int], known: set[int], unit_rows: int) -> None:
    rows = SomeRows(np.array(values, dtype=np.float32).reshape(-1, 1))
    committed = Known(SomeRows(np.array(sorted(known), dtype=np.float32).reshape(-1, 1)).keys)
    plan = plan_units("t", "e", rows, everything(rows), committed, unit_rows)
    positions = [position for unit in plan.units for position in unit.positions]
    assert [values[p] for p in positions] == [v for v in dict.fromkeys(values) if v not in known]
    assert plan.rows_new + plan.rows_reused + plan.rows_duplicate == len(values)
    assert all(1 <= len(unit.keys) <= unit_rows for unit in plan.units)


def read(folder: Path, x: list[float], name: str) -> Dataset:
    pq.write_table(pa.table({"x": [[value, value + 1, -value] for value in x]}), folder / name)
    config = {"source": {"kind": "parquet", "path": name}, "inputs": ["x"], "classes": ["a", "b", "c"]}
    return open_dataset(DataConfig.model_validate(config), folder)


def test_appended_edited_reordered_and_shared_rows(tmp_path: Path) -> None:
    """F28, with the real cache: each time exactly the new rows are asked, seen in the receipts."""
    teacher = function_teacher("double", ANSWER)
    entry = entry_for(teacher, tmp_path)
    rounds = [
        ("first", [1.0, 2.0, 3.0, 2.0], [1.0, 2.0, 3.0]),
        ("again", [1.0, 2.0, 3.0, 2.0], []),
        ("appended", [1.0, 2.0, 3.0, 4.0, 5.0], [4.0, 5.0]),
        ("reordered", [5.0, 3.0, 1.0, 4.0, 2.0], []),
        ("edited", [5.0, 3.0, 1.5, 4.0, 2.0], [1.5]),
        ("filtered", [5.0, 2.0], []),
        ("shared with other data", [9.0, 3.0, 8.0], [9.0, 8.0]),
    ]
    for what, values, new in rounds:
        data = read(tmp_path, values, f"{what}.parquet")
        plan = plan_units("double", entry.id, data, data.positions("all"), entry.committed(), 2)
        host = TeacherHost("double", teacher, data, entry, batch_size=4)
        receipts = [host.label(unit) for unit in plan.units]
        entry.publish(receipts, covers=plan.chunks)
        assert sum(receipt.rows for receipt in receipts) == plan.rows_new == len(new), what
        expected = read(tmp_path, new, "new.parquet").keys if new else np.empty(0, "S16")
        assert [key for receipt in receipts for key in receipt.keys] == to_hex(expected), what
        logits_NC, present_N = entry.reader().gather(data.keys)
        assert present_N.all()
        np.testing.assert_allclose(logits_NC, data.inputs["x"] * 2, rtol=2e-3)
