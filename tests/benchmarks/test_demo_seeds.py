from __future__ import annotations

from typing import Any

import pytest

from benchmarks import demo_seeds


def report(searched: float, labels: float, plain: float, singles: tuple[float, ...], oracle: float) -> dict[str, Any]:
    accuracy = {"searched": searched, "labels_only": labels, "plain_mean": plain, "plain_mean_tuned": 0.99}
    accuracy |= {f"teacher:{index}": value for index, value in enumerate(singles)} | {"oracle": oracle}
    return {"students": [{"name": name, "test_accuracy": {"mean": value}} for name, value in accuracy.items()]}


GOOD = {
    0: report(0.93, 0.82, 0.88, (0.60, 0.88), 0.94),
    1: report(0.91, 0.80, 0.86, (0.87, 0.70), 0.92),
}


def values(reports: dict[int, Any]) -> dict[str, Any]:
    return {row.id: row for row in demo_seeds.rows(reports)}


def test_differences_are_means_over_splits_in_points() -> None:
    rows = values(GOOD)
    assert rows["over_labels_only"].value == pytest.approx(11.0)
    assert rows["over_plain_mean"].value == pytest.approx(5.0)
    assert rows["over_best_single"].value == pytest.approx(4.5)  # the best single differs by split
    assert rows["worst_split"].value == pytest.approx(4.0)
    assert rows["to_oracle"].value == pytest.approx(1.0)
    assert all(row.ok for row in rows.values())


def test_one_lost_comparison_on_one_split_misses_the_bar() -> None:
    rows = values({**GOOD, 2: report(0.93, 0.80, 0.85, (0.935,), 0.93)})
    assert rows["worst_split"].value == pytest.approx(-0.5)
    assert not rows["worst_split"].ok


def test_being_far_from_the_oracle_misses_the_bar() -> None:
    assert not values({0: report(0.93, 0.80, 0.85, (0.88,), 0.95)})["to_oracle"].ok


def test_the_gates_are_those_of_the_bar() -> None:
    gates = {row.id: row.gate for row in demo_seeds.rows(GOOD) if row.gate}
    assert gates == {
        "over_labels_only": ">= 9",
        "over_plain_mean": ">= 3.5",
        "over_best_single": ">= 3",
        "worst_split": ">= 0",
        "to_oracle": "<= 1.5",
    }
