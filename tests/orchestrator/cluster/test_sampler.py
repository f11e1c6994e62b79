"""The sampler behind its small face: it learns from all it is told, in whatever form."""

from __future__ import annotations

import math
from typing import Any

from orchestrator.cluster.sampler import Sampler, point_of, settings_of
from pipelines.space import LogUniform, Simplex, Space, Uniform

TREE = {"t": 2.0, "share": 0.3, "weights": {"a": 0.5, "b": 0.5}}
SPACE = Space(
    {"t": LogUniform(low=1, high=8), "share": Uniform(low=0.02, high=0.6), "weights": Simplex(zero_below=0.2)},
    ("a", "b"),
)


def record(params: dict[str, Any] | None, score: float | None, status: str = "finished") -> dict[str, Any]:
    return {"params": params, "scores": [score], "score": score, "status": status}


def test_it_finds_the_better_half_of_a_line() -> None:
    sampler = Sampler(SPACE, 0)
    shares = []
    for _ in range(40):
        ticket, params = sampler.ask()
        shares.append(params["share"])
        sampler.tell(ticket, record(params, -abs(params["share"] - 0.5)))
    assert sum(abs(share - 0.5) for share in shares[-10:]) / 10 < 0.08


def test_what_was_on_record_counts_as_if_it_had_been_its_own() -> None:
    told = Sampler(SPACE, 1)
    for number in range(60):
        share = 0.02 + 0.58 * number / 59
        told.tell(None, record({"t": 2.0, "share": share, "weights[a]": 1.0, "weights[b]": 1.0}, -abs(share - 0.1)))
    drawn = [told.ask()[1]["share"] for _ in range(10)]
    assert sum(abs(share - 0.1) for share in drawn) / 10 < 0.1  # without that knowledge it is 0.16 to 0.33


def test_every_kind_of_end_can_be_told() -> None:
    sampler = Sampler(SPACE, 2)
    for status, score in (("finished", 0.5), ("stopped", 0.1), ("failed", None), ("finished", -math.inf)):
        ticket, params = sampler.ask()
        sampler.tell(ticket, record(params, score, status))
        sampler.tell(None, record(params, score, status))
    sampler.tell(None, {"params": None, "scores": [], "status": "failed"})
    sampler.tell(None, record({"t": 99.0, "share": 0.1, "weights[a]": 1.0, "weights[b]": 1.0}, 0.9))
    sampler.tell(None, record({"other": 1.0}, 0.9))
    sampler.ask()


def test_two_seeds_draw_other_points_and_one_seed_the_same() -> None:
    assert Sampler(SPACE, 3).ask()[1] == Sampler(SPACE, 3).ask()[1]
    assert Sampler(SPACE, 3).ask()[1] != Sampler(SPACE, 4).ask()[1]


def test_points_and_settings_are_two_views_of_one_thing() -> None:
    params = point_of(SPACE, TREE)
    assert params == {"t": 2.0, "share": 0.3, "weights[a]": 1.0, "weights[b]": 1.0}
    assert settings_of(SPACE, TREE, params) == TREE
    assert point_of(SPACE, TREE | {"weights": {"a": 1.0, "b": 0.1}}) is None, "the simplex would turn 0.1 into 0"
