"""Gates with known answers, sums that must hold, and the metric on predictions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.metrics.information_decomposition import decompose, measure, mutual_information


def _gate(function: str) -> np.ndarray:
    table = np.zeros((2, 2, 2))
    for a in (0, 1):
        for b in (0, 1):
            out = {"and": a & b, "xor": a ^ b, "first": a, "second": b}[function]
            table[a, b, out] += 0.25
    return table


def test_gates_have_their_known_parts() -> None:
    bit = math.log(2)
    conjunction = decompose(_gate("and"))
    assert conjunction.redundant / bit == pytest.approx(0.31128, abs=1e-4)
    assert conjunction.synergy / bit == pytest.approx(0.5, abs=1e-4)
    parity = decompose(_gate("xor"))
    assert parity.synergy / bit == pytest.approx(1, abs=1e-6) and parity.redundant == pytest.approx(0, abs=1e-6)
    alone = decompose(_gate("first"))
    assert alone.unique_1 / bit == pytest.approx(1, abs=1e-6) and alone.unique_2 == pytest.approx(0, abs=1e-6)
    copies = np.zeros((3, 3, 3))
    copies[[0, 1, 2], [0, 1, 2], [0, 1, 2]] = 1 / 3
    assert decompose(copies).redundant == pytest.approx(math.log(3), abs=1e-6)


@settings(max_examples=10)
@given(seed=st.integers(0, 9999), a=st.integers(1, 3), b=st.integers(1, 3), y=st.integers(1, 3))
def test_parts_are_not_negative_and_add_up(seed: int, a: int, b: int, y: int) -> None:
    joint = np.random.default_rng(seed).dirichlet(np.ones(a * b * y)).reshape(a, b, y)
    found = decompose(joint)
    parts = (found.redundant, found.unique_1, found.unique_2, found.synergy)
    assert min(parts) > -1e-5
    assert sum(parts) == pytest.approx(mutual_information(joint), abs=1e-9)
    turned = decompose(joint.transpose(1, 0, 2))
    assert (turned.redundant, turned.unique_1) == pytest.approx((found.redundant, found.unique_2), abs=1e-5)


def test_a_student_that_copies_its_teacher_shares_all_it_knows() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 600)
    teacher = np.eye(3)[np.where(rng.random(600) < 0.8, labels, rng.integers(0, 3, 600))]
    same = measure(teacher, labels, teacher_NC=teacher)
    guess = measure(np.eye(3)[rng.integers(0, 3, 600)], labels, teacher_NC=teacher)
    assert same > 0.3 > 0.05 > guess
    assert math.isnan(measure(teacher, labels)) and math.isnan(measure(teacher, np.full(600, -1), teacher_NC=teacher))
