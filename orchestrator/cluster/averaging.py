"""The mean of the best trials, tried like any other trial.

With few labelled rows the best scores differ by luck. The best trials agree in what matters and differ in what does
not, so their mean is less of an accident than any one of them. No Ray: one more trial, here, on record like all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from orchestrator.cluster.trials import KIND, SearchSpec, make_trial, record_of, run_trial
from orchestrator.journal import Journal, Record
from pipelines.space import Space


def try_mean(spec: SearchSpec, space: Space, records: Sequence[Record], best: int, journal: Journal) -> Record | None:
    """Tries the mean of the `best` finished trials and returns its record if it deserves to be chosen.

    It does when it scores no worse than the worst trial it is made of. None otherwise, and when fewer than two
    trials can be averaged.
    """
    names = {scalar.name for scalar in space.scalars}
    done = [one for one in records if one["status"] == "finished" and set(one["params"] or ()) == names]
    parts = sorted(done, key=lambda one: (-one["score"], one["number"]))[:best]
    if len(parts) < 2:
        return None
    template = json.loads(spec.template)
    settings = space.mean(template, [one["params"] for one in parts])
    number = 1 + max(int(one["number"]) for one in records)
    trial = make_trial(template, number, f"mean of the best {len(parts)}", None, settings)
    if journal.get(KIND, trial.key) is None:
        *_, history = run_trial(spec, trial)
        journal.put(KIND, trial.key, record_of(trial, history, "finished"))
    record = journal.get(KIND, trial.key)
    worst = min(one["score"] for one in parts)
    return record if record and record["score"] is not None and record["score"] >= worst else None
