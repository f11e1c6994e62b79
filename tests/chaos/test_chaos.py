"""The small version of `make chaos`: 20 actor kills and 8 driver kills over all phases, on the tiny example."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.chaos.rounds import PHASES, Tally, kill_until_done, undisturbed
from tests.chaos.run import enough

ACTOR_KILLS, DRIVER_KILLS, PER_PHASE, MINUTES = 20, 8, 1, 8


@pytest.mark.ray
@pytest.mark.timeout(60 * (MINUTES + 2))
def test_nothing_is_lost_when_drivers_and_actors_are_killed(tmp_path: Path) -> None:
    start = time.monotonic()
    tally = Tally()
    reference = undisturbed(tmp_path / "undisturbed", tally)
    number = 0
    while not enough(tally, ACTOR_KILLS, DRIVER_KILLS, PER_PHASE) and time.monotonic() - start < 60 * MINUTES:
        total = sum(tally.driver_kills.values())
        lacking = [phase for phase in PHASES if tally.driver_kills[phase] < max(PER_PHASE, 2 - number)]
        phases = [phase for phase in lacking for _ in range(2 if number == 0 else 1)] or ["label"] * (
            DRIVER_KILLS - total
        )
        actors = max(0, ACTOR_KILLS - tally.actor_kills)
        kill_until_done(tmp_path / f"round-{number}", phases, actors, reference, number, tally)
        number += 1
    assert tally.violations == []
    assert tally.leftovers() == {}
    assert enough(tally, ACTOR_KILLS, DRIVER_KILLS, PER_PHASE), f"{tally.driver_kills}, {tally.actor_kills} actors"
