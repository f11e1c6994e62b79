"""From what is committed to every wanted label committed: what is planned, mended, adopted, asked and refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from foundation.errors import PreflightError, QuarantineError
from orchestrator.cluster.worker import open_host
from orchestrator.stages.counters import count
from orchestrator.stages.label import Ready, label, make_ready, plan, wanted
from orchestrator.stages.work import Work
from teachers.cache.reader import LabelReader
from teachers.row_keys import to_hex

from .small import LABELLED, ROWS, TEACHERS, TEST, UNIT, events_of, label_here, make, opened

DISTINCT = ROWS - 1  # the last two test rows are equal


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    with opened(make(tmp_path), tmp_path / "run") as found:
        yield found


def reader(work: Work, teacher: str) -> LabelReader:
    return work.entries[teacher].reader()


def test_rows_of_several_sets_are_wanted_once_in_their_order(tmp_path: Path) -> None:
    with opened(make(tmp_path, "label.rows=[test, labelled, transfer]"), tmp_path / "run") as work:
        positions = wanted(work)
    test, labelled = range(ROWS - TEST, ROWS), range(LABELLED)
    assert positions.tolist() == [*test, *labelled, *range(LABELLED, ROWS - TEST)]


def test_a_fresh_cache_means_every_row_is_new(work: Work) -> None:
    todo = plan(work)
    assert {name: (one.rows_new, one.rows_reused) for name, one in todo.items()} == dict.fromkeys(
        TEACHERS, (DISTINCT, 0)
    )
    assert all(len(one.units) == -(-DISTINCT // UNIT) for one in todo.values())
    assert not work.journal.keys("loads"), "planning asks nobody"


def test_labels_are_what_the_teachers_say_and_nothing_is_left(work: Work) -> None:
    label_here(work)
    assert [one.rows_new for one in plan(work).values()] == [0, 0]
    for scale, name in enumerate(TEACHERS, 1):
        logits_NC, present_N = reader(work, name).gather(work.dataset.keys)
        assert present_N.all()
        x = work.dataset.inputs["x"].astype(np.float64)
        centres = np.array([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])
        told_NC = -scale * ((x[:, None] - centres) ** 2).sum(-1)
        np.testing.assert_allclose(logits_NC, told_NC, rtol=2e-3, atol=2e-2)  # fp16


def test_a_teacher_with_nothing_to_label_is_not_even_loaded(work: Work) -> None:
    label_here(work)
    before = work.journal.keys("loads")
    ready = make_ready(work, plan(work))
    assert work.journal.keys("loads") == before and ready == Ready({}, {})


def test_only_the_teacher_that_lost_labels_is_asked_again(work: Work, tmp_path: Path) -> None:
    """F19, F20: a damaged shard is moved aside, named, and its rows alone are planned."""
    label_here(work)
    shard = sorted((tmp_path / "cache").rglob(f"{work.entries['far'].id}/data/*.arrow"))[0]
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    todo = plan(work)
    lost = DISTINCT - work.entries["far"].committed().rows
    assert (todo["near"].rows_new, todo["far"].rows_new) == (0, lost) and 0 < lost <= UNIT
    warnings = [event["text"] for event in events_of(tmp_path / "run") if event["event"] == "Warned"]
    assert len(warnings) == 1 and shard.stem in warnings[0] and "quarantine" in warnings[0]
    assert set(make_ready(work, todo).prepared) == {"far"}
    label_here(work)
    assert [one.rows_new for one in plan(work).values()] == [0, 0]
    assert reader(work, "far").gather(work.dataset.keys)[1].all()


def test_what_a_dead_run_stored_is_adopted(work: Work) -> None:
    """F8: shards without a generation belong to a driver that died; their rows aren't asked again."""
    label_here(work, publish=False)
    assert not any(len(entry.committed().keys) for entry in work.entries.values())
    assert [one.rows_new for one in plan(work).values()] == [0, 0]
    assert [entry.committed().rows for entry in work.entries.values()] == [DISTINCT, DISTINCT]


def test_a_finished_chunk_is_known_without_looking_at_its_rows(work: Work) -> None:
    label_here(work)
    for entry in work.entries.values():
        assert set(work.dataset.chunk_digests()) <= entry.committed().covers


def quarantine_one(work: Work) -> str:
    """Labels everything, but one row of the first teacher is set aside; returns its key."""
    todo = plan(work)
    name = TEACHERS[0]
    unit = todo[name].units[0]
    keys, entry = unit.keys, work.entries[name]
    zeros = np.zeros((len(keys) - 1, 3), np.float32)
    entry.publish([entry.write(unit, zeros, keys[1:], quarantined=[(keys[0], "it killed three actors")])])
    with pytest.raises(QuarantineError):
        label_here(work)
    return keys[0]


def test_rows_set_aside_stop_the_run_with_their_names(work: Work) -> None:
    key = quarantine_one(work)
    with pytest.raises(QuarantineError) as caught:
        label(work, plan(work), Ready({}, {}))
    assert caught.value.rows == ((TEACHERS[0], key, "it killed three actors"),)
    assert caught.value.exit_code == 4 and "--allow-quarantine" in str(caught.value)
    assert count(work).rows_quarantined == 1
    assert [one.rows_new for one in plan(work).values()] == [0, 0], "it isn't asked again, and nobody else either"
    assert not set(work.dataset.chunk_digests()) <= work.entries[TEACHERS[0]].committed().covers


def test_rows_set_aside_may_be_allowed(tmp_path: Path) -> None:
    loaded = make(tmp_path)
    with opened(loaded, tmp_path / "run") as work:
        quarantine_one(work)
    with opened(loaded, tmp_path / "run", allow_quarantine=True) as work:
        label(work, plan(work), Ready({}, {}))
        assert work.folder.done("label") is not None


def test_a_row_nobody_asked_for_is_no_reason_to_stop(tmp_path: Path) -> None:
    """A cache is shared: what another run set aside matters only where this run wants the row."""
    with opened(make(tmp_path), tmp_path / "one") as work:
        key = quarantine_one(work)
        assert key in to_hex(work.dataset.keys[work.dataset.positions("transfer")])
    with opened(make(tmp_path, "label.rows=[test]"), tmp_path / "two") as work:
        label(work, plan(work), Ready({}, {}))


@pytest.mark.parametrize(
    "answer", ["np.zeros((len(x), 2))", "np.full((len(x), 3), np.nan)", "np.ones(len(x))", "[][1]", "x @ x.T"]
)
def test_a_teacher_that_answers_nonsense_is_refused_by_preflight(answer: str, tmp_path: Path) -> None:
    """F27: exit code 3 with a sentence, whatever is wrong, before any label; `prepare` doesn't fall over it."""
    loaded = make(tmp_path, wrong=f"x = inputs['x']\n    return {answer}")
    with opened(loaded, tmp_path / "run") as work:
        with pytest.raises(PreflightError) as caught:
            make_ready(work, plan(work))
        assert caught.value.exit_code == 3 and "far" in str(caught.value.where)
        assert work.folder.done("preflight") is None
        assert not any(entry.committed().rows for entry in work.entries.values())


def test_counters_come_from_receipts_of_this_run(tmp_path: Path) -> None:
    loaded = make(tmp_path)
    with opened(loaded, tmp_path / "one") as work:
        label_here(work)
        told = count(work)
        assert (told.rows_labelled, told.rows_reused, told.teacher_loads) == (2 * DISTINCT, 0, 2)
    with opened(loaded, tmp_path / "one") as work:  # another attempt of the same run
        assert count(work) == told
    with opened(loaded, tmp_path / "two") as work:  # another run over the same cache
        label_here(work)
        other = count(work)
        assert (other.rows_labelled, other.rows_reused, other.teacher_loads) == (0, 2 * DISTINCT, 0)


def test_a_teacher_asked_twice_is_counted_twice(tmp_path: Path) -> None:
    """A unit that is labelled again (its first actor died after it) cost its rows again, though each is there once."""
    with opened(make(tmp_path), tmp_path / "run") as work:
        unit = plan(work)["near"].units[0]
        host = open_host(work.worker_spec, "near", 8, None)
        for attempt in (1, 2):
            work.entries["near"].publish([host.label(unit, attempt)])
            assert count(work).rows_labelled == attempt * len(unit.keys)
        assert work.entries["near"].committed().rows == len(unit.keys)
