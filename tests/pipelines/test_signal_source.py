"""Sources of teacher signals: class maps, missing policies, memory or not, live, and the two controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from foundation.errors import ConfigError, DataError
from pipelines.signal_source import CachedSource, ConstantSource, LiveSource, ShuffledSource
from teachers.signals import Logits, SignalRequest
from tests.pipelines.toy import CLASSES, KNOWN, TableReader, readers, source

ROWS = torch.arange(30)
SOME = torch.tensor([4, 0, 17])


def expected(name: str, row: int) -> list[float]:
    table = readers(30)[name].table
    out = [0.0] * len(CLASSES)
    for column, label in enumerate(KNOWN[name]):
        out[CLASSES.index(label)] = float(table[row, column])
    return out


@pytest.mark.parametrize("budget", [0, 1 << 20])
def test_classes_are_matched_by_name(budget: int) -> None:
    said = source(budget_bytes=budget).logits(SOME)
    for k, name in enumerate(KNOWN):
        for b, row in enumerate(SOME.tolist()):
            assert said.logits_KBC[k, b].tolist() == expected(name, row)
        assert said.class_mask_KC[k].tolist() == [label in KNOWN[name] for label in CLASSES]
    assert said.present_KB.all() and said.complete and said.present_KB.shape == (3, 3)


def test_within_the_budget_a_row_is_read_once() -> None:
    tables = readers(30)
    kept = CachedSource(tables, KNOWN, np.zeros(30, dtype="S16"), CLASSES)
    before = tables["one"].taken
    kept.logits(SOME)
    assert before == tables["one"].taken == 30
    tables = readers(30)
    CachedSource(tables, KNOWN, np.zeros(30, dtype="S16"), CLASSES, budget_bytes=0).logits(SOME)
    assert tables["one"].taken == 3


@pytest.mark.parametrize("budget", [0, 1 << 20])
def test_bound_to_some_teachers_the_others_are_not_read(budget: int) -> None:
    whole, tables = source(budget_bytes=budget), readers(30)
    reading = CachedSource(tables, KNOWN, np.zeros(30, dtype="S16"), CLASSES, budget_bytes=budget)
    before = tables["two"].taken
    bound = reading.bind(ROWS, [0, 2])
    assert bound.teachers == ("one", "three")
    assert torch.equal(bound.logits(SOME).logits_KBC, whole.logits(SOME).logits_KBC[[0, 2]])
    assert torch.equal(bound.class_mask_KC, whole.class_mask_KC[[0, 2]])
    assert tables["two"].taken == before


HOLES = {"one": (4,), "two": (0, 4)}


def test_missing_is_an_error_by_default_and_names_teachers() -> None:
    holed = source(absent=HOLES)
    assert not holed.complete
    for call in (lambda: holed.logits(SOME), lambda: holed.bind(ROWS, [0, 1])):
        with pytest.raises(DataError, match="no cached label") as caught:
            call()
        assert "one: 1, two: 2" in str(caught.value)
    assert holed.bind(ROWS, [2]).complete
    assert holed.bind(torch.tensor([1, 2]), [0, 1]).logits(torch.tensor([1])).complete


def test_renormalise_marks_what_is_absent() -> None:
    said = source(absent=HOLES, missing="renormalise").bind(ROWS, [0, 1, 2]).logits(SOME)
    assert not said.complete
    assert said.present_KB.tolist() == [[False, True, True], [False, False, True], [True, True, True]]
    assert (said.logits_KBC[0, 0] == 0).all()


def test_drop_leaves_the_row_out_for_all_even_of_unused_teachers() -> None:
    dropping = source(absent=HOLES, missing="drop")
    assert dropping.logits(SOME).present_KB.tolist() == [[False, False, True]] * 3
    assert dropping.bind(ROWS, [2]).logits(SOME).present_KB.tolist() == [[False, False, True]]


def test_foreign_and_double_classes_are_refused() -> None:
    table = {"one": TableReader(np.zeros((2, 2), dtype=np.float32))}
    for classes, text in ((("a", "bb"), "don't have"), (("a", "a"), "twice")):
        with pytest.raises(ConfigError, match=text):
            CachedSource(table, {"one": classes}, np.zeros(2, dtype="S16"), CLASSES)
    with pytest.raises(ConfigError, match="at least one"):
        CachedSource({}, {}, np.zeros(2, dtype="S16"), CLASSES)


class TableTeacher:
    """A live teacher that answers what the table says for the row numbers it is given."""

    def __init__(self, name: str) -> None:
        self.card: Any = SimpleNamespace(classes=KNOWN[name])
        self.table = readers(30)[name].table

    def answer(
        self, inputs: Mapping[str, np.ndarray], requests: Sequence[SignalRequest]
    ) -> Mapping[SignalRequest, Logits]:
        return {request: Logits(self.table[inputs["row"]]) for request in requests}

    def close(self) -> None: ...


class NumberedRows:
    keys = np.zeros(30, dtype="S16")

    def __len__(self) -> int:
        return 30

    def take(self, positions: np.ndarray) -> Mapping[str, np.ndarray]:
        return {"row": positions}


def test_live_says_the_same_as_cached() -> None:
    live = LiveSource({name: TableTeacher(name) for name in KNOWN}, NumberedRows(), CLASSES)
    cached = source()
    assert torch.equal(live.logits(SOME).logits_KBC, cached.logits(SOME).logits_KBC)
    assert torch.equal(live.class_mask_KC, cached.class_mask_KC) and live.complete
    few = live.bind(ROWS, [2, 0])
    assert few.teachers == ("three", "one")
    assert torch.equal(few.logits(SOME).logits_KBC, cached.logits(SOME).logits_KBC[[2, 0]])


def test_shuffled_permutes_rows_of_the_pool_for_all_teachers_alike() -> None:
    pool = torch.tensor([3, 5, 8, 13, 21, 2])
    inner = source()
    shuffled = ShuffledSource(inner, pool, seed=4)
    mine, theirs = inner.logits(pool).logits_KBC, shuffled.logits(pool).logits_KBC
    rows = [next(j for j in range(6) if torch.equal(mine[:, j], theirs[:, b])) for b in range(6)]
    assert sorted(rows) == list(range(6)) and rows != list(range(6))
    assert torch.equal(theirs, ShuffledSource(source(), pool, seed=4).logits(pool).logits_KBC)
    assert not torch.equal(theirs, ShuffledSource(source(), pool, seed=5).logits(pool).logits_KBC)
    assert torch.equal(shuffled.bind(pool, [1]).logits(pool).logits_KBC, theirs[[1]])


def test_constant_is_the_mean_over_the_rows_a_teacher_has() -> None:
    pool = torch.arange(6)
    constant = ConstantSource(source(absent={"two": (1, 2)}, missing="renormalise"), pool, chunk=4)
    said = constant.logits(SOME)
    mean = np.mean([expected("two", row) for row in (0, 3, 4, 5)], axis=0)
    for row in range(3):
        np.testing.assert_allclose(said.logits_KBC[1, row].numpy(), mean, rtol=1e-5)
    assert said.complete and said.present_KB.all()
    assert torch.equal(constant.bind(ROWS, [1]).logits(SOME).logits_KBC, said.logits_KBC[[1]])
