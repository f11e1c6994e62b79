"""The host: row keys verified, one batch size, memory, and numbers that are no labels (F25, F26)."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from foundation.errors import DataError, TeacherError
from teachers.host import TeacherHost
from teachers.label_plan import NOTHING, plan_units
from teachers.meter import TeacherMeter
from teachers.row_keys import to_hex
from teachers.units import Unit
from tests.teachers.helpers import SomeRows, entry_for, function_teacher, some_rows

ECHO = """
    VERSION = "1"
    SIZES = []
    def answer(inputs):
        SIZES.append(len(inputs["x"]))
        return inputs["x"]
"""


def unit_of(rows: SomeRows, entry_id: str) -> Unit:
    return plan_units("t", entry_id, rows, np.arange(len(rows)), NOTHING, 1000).units[0]


def test_label_writes_what_the_teacher_said(tmp_path: Path) -> None:
    rows, teacher = some_rows(10), function_teacher("echo", ECHO)
    entry = entry_for(teacher, tmp_path, "fp32")
    host = TeacherHost("echo", teacher, rows, entry, batch_size=4, run="r1")
    unit = unit_of(rows, entry.id)
    receipt = host.label(unit, attempt=2, stage="label")
    assert receipt.rows == 10 and receipt.keys == unit.keys and receipt.unit == unit.id and receipt.entry == entry.id
    assert (receipt.attempt, receipt.run, receipt.batch_size, receipt.nonfinite) == (2, "r1", 4, 0)
    assert receipt.seconds > 0
    entry.publish([receipt])
    logits_NC, present_N = entry.reader().gather(rows.keys)
    assert present_N.all() and np.abs(logits_NC - rows.x).max() < 1e-6


def test_every_question_has_the_same_size(tmp_path: Path) -> None:
    rows, teacher = some_rows(10), function_teacher("echo", ECHO)
    host = TeacherHost("echo", teacher, rows, entry := entry_for(teacher, tmp_path), batch_size=4)
    before = TeacherMeter.rows("echo")
    host.label(unit_of(rows, entry.id))
    assert teacher._inner._module.SIZES == [4, 4, 4]  # type: ignore[attr-defined]
    assert TeacherMeter.rows("echo") - before == 12  # the filled-up rows were computed, so they count


def test_other_data_are_noticed(tmp_path: Path) -> None:
    rows, teacher = some_rows(5), function_teacher("echo", ECHO)
    entry = entry_for(teacher, tmp_path)
    unit = unit_of(rows, entry.id)
    edited = SomeRows(rows.x + (np.arange(5) == 3)[:, None])
    with pytest.raises(DataError, match="position 3"):
        TeacherHost("echo", teacher, edited, entry).label(unit)
    with pytest.raises(DataError, match="position 3"):
        TeacherHost("echo", teacher, SomeRows(rows.x[:3]), entry).label(unit)
    with pytest.raises(DataError, match="another cache entry"):
        TeacherHost("echo", teacher, rows, entry).label(dataclasses.replace(unit, entry="f" * 64))
    assert entry.receipts() == []


@pytest.mark.parametrize(
    "raises",
    ["MemoryError()", "OOM('CUDA out of memory')", 'RuntimeError("DefaultCPUAllocator: can\'t allocate memory")'],
)
def test_out_of_memory_halves_the_batch_and_remembers(tmp_path: Path, raises: str) -> None:
    body = f"""
        from torch import OutOfMemoryError as OOM
        VERSION = "1"
        SIZES = []
        def answer(inputs):
            SIZES.append(len(inputs["x"]))
            if len(inputs["x"]) > 3:
                raise {raises}
            return inputs["x"]
    """
    rows, teacher = some_rows(8), function_teacher("hungry", body)
    entry = entry_for(teacher, tmp_path, "fp32")
    host = TeacherHost("hungry", teacher, rows, entry, batch_size=16)
    receipt = host.label(unit_of(rows, entry.id))
    sizes = teacher._inner._module.SIZES  # type: ignore[attr-defined]
    assert sizes == [16, 8, 4, 2, 2, 2, 2] and receipt.batch_size == host.batch_size == 2
    host.label(dataclasses.replace(unit_of(SomeRows(rows.x[:2]), entry.id)))
    assert sizes[7:] == [2]
    entry.publish([receipt])
    assert np.abs(entry.reader().gather(rows.keys)[0] - rows.x).max() < 1e-6


def test_no_memory_for_one_row_gives_the_sizes(tmp_path: Path) -> None:
    teacher = function_teacher("starved", 'VERSION = "1"\ndef answer(inputs):\n    raise MemoryError("want 1 TB")')
    rows, entry = some_rows(3), entry_for(teacher, tmp_path)
    with pytest.raises(TeacherError, match=r"want 1 TB; one row: x \[3\] 12 bytes; 3 classes"):
        TeacherHost("starved", teacher, rows, entry, batch_size=8).label(unit_of(rows, entry.id))


def test_a_teachers_own_failure_is_told_with_its_name(tmp_path: Path) -> None:
    teacher = function_teacher("broken", 'VERSION = "1"\ndef answer(inputs):\n    return 1 // 0')
    rows, entry = some_rows(3), entry_for(teacher, tmp_path)
    with pytest.raises(TeacherError, match="ZeroDivisionError") as caught:
        TeacherHost("broken", teacher, rows, entry).label(unit_of(rows, entry.id))
    assert caught.value.where == "teachers.broken"


NAN, INF = float("nan"), float("inf")
BAD = {"nan": [1.0, NAN, 0.0], "inf": [1.0, INF, 0.0], "-inf": [1.0, -INF, 0.0], "out of range": [7e4, 0.0, 7e4]}
ALL_BAD = [NAN, NAN, NAN]


def odd_teacher(bad: list[float]) -> tuple[SomeRows, str]:
    """Rows 0..4; the answer for row 2 is `bad`."""
    body = f"""
        import numpy as np
        VERSION = "1"
        def answer(inputs):
            out = np.tile(np.array([1.0, 2.0, 3.0]), (len(inputs["x"]), 1))
            out[inputs["x"][:, 0] == 2] = np.array({bad!r}.copy())
            return out
    """
    return SomeRows(np.arange(5, dtype=np.float32)[:, None]), body.replace("nan", "np.nan").replace("inf", "np.inf")


@pytest.mark.parametrize("why", list(BAD))
def test_error_policy_stores_nothing(tmp_path: Path, why: str) -> None:
    rows, body = odd_teacher(BAD[why])
    teacher = function_teacher("odd", body)
    entry = entry_for(teacher, tmp_path)
    with pytest.raises(TeacherError, match=f"{why} in 1 of 5 rows; row {to_hex(rows.keys)[2]}"):
        TeacherHost("odd", teacher, rows, entry, nonfinite="error").label(unit_of(rows, entry.id))
    assert entry.receipts() == []


@pytest.mark.parametrize("why", [*BAD, "all nan"])
def test_quarantine_policy_keeps_the_other_rows(tmp_path: Path, why: str) -> None:
    rows, body = odd_teacher(BAD.get(why, ALL_BAD))
    teacher = function_teacher("odd", body)
    entry = entry_for(teacher, tmp_path)
    receipt = TeacherHost("odd", teacher, rows, entry, nonfinite="quarantine").label(unit_of(rows, entry.id))
    key = to_hex(rows.keys)[2]
    assert receipt.rows == 4 and receipt.quarantined == ((key, why.removeprefix("all ")),) and receipt.nonfinite == 0
    entry.publish([receipt])
    assert entry.reader().gather(rows.keys)[1].tolist() == [True, True, False, True, True]
    assert entry.committed().quarantined == {key: why.removeprefix("all ")}


@pytest.mark.parametrize(
    ("bad", "stored", "count"),
    [
        ([1.0, INF, 0.0], [1.0, 65472.0, 0.0], 1),
        ([7e4, 0.0, 7e4], [7e4, 4528.0, 7e4], 1),
        ([INF, 7e4, INF], [7e4] * 3, 2),
    ],
)
def test_clip_policy_pulls_values_in(tmp_path: Path, bad: list[float], stored: list[float], count: int) -> None:
    rows, body = odd_teacher(bad)
    teacher = function_teacher("odd", body)
    entry = entry_for(teacher, tmp_path)
    receipt = TeacherHost("odd", teacher, rows, entry, nonfinite="clip").label(unit_of(rows, entry.id))
    assert receipt.rows == 5 and receipt.nonfinite == count
    entry.publish([receipt])
    logits_NC, _ = entry.reader().gather(rows.keys)
    np.testing.assert_allclose(logits_NC[2], stored, atol=16)
    np.testing.assert_allclose(logits_NC[1], [1.0, 2.0, 3.0])


@pytest.mark.parametrize("why", ["nan", "-inf"])
def test_clip_policy_invents_nothing(tmp_path: Path, why: str) -> None:
    rows, body = odd_teacher(BAD[why])
    teacher = function_teacher("odd", body)
    entry = entry_for(teacher, tmp_path)
    with pytest.raises(TeacherError, match=why):
        TeacherHost("odd", teacher, rows, entry, nonfinite="clip").label(unit_of(rows, entry.id))


def test_fp32_holds_what_fp16_does_not(tmp_path: Path) -> None:
    rows, body = odd_teacher(BAD["out of range"])
    teacher = function_teacher("odd", body)
    entry = entry_for(teacher, tmp_path, "fp32")
    receipt = TeacherHost("odd", teacher, rows, entry, nonfinite="error").label(unit_of(rows, entry.id))
    assert receipt.rows == 5
