"""Asynchronous successive halving as a pure rule: after some epochs a trial goes on only if it is among the best seen.

Rungs lie at grace * reduction^k epochs. A trial that reaches a rung goes on if its score there is at least the
(1 - 1/reduction) quantile of all scores recorded at that rung so far (Li et al., 2020, "A System for Massively Parallel
Hyperparameter Tuning"). Scores of trials that must not be stopped are recorded too: they set the standard.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Halving:
    """Rungs below `epochs`, and the scores seen at each. `grace` None: never stops anything."""

    epochs: int
    grace: int | None
    reduction: int = 3
    _seen: dict[int, dict[str, float]] = field(default_factory=dict)

    @property
    def rungs(self) -> list[int]:
        """Epochs at which is decided, ascending; never the last one."""
        if self.grace is None:
            return []
        out, rung = [], self.grace
        while rung < self.epochs:
            out.append(rung)
            rung *= self.reduction
        return out

    def goes_on(self, trial: str, epoch: int, score: float) -> bool:
        """Records a score at a rung and says whether the trial goes on; True anywhere else."""
        if epoch not in self.rungs:
            return True
        seen = self._seen.setdefault(epoch, {})
        seen[trial] = score
        return score >= _quantile(list(seen.values()), 1.0 - 1.0 / self.reduction)

    def remember(self, trial: str, scores: Sequence[float | None]) -> None:
        """Takes in a trial of an earlier attempt; `scores` after each epoch."""
        for rung in self.rungs:
            if len(scores) >= rung:
                score = scores[rung - 1]
                self._seen.setdefault(rung, {})[trial] = -math.inf if score is None else score


def _quantile(values: list[float], share: float) -> float:
    """Linear interpolation between order statistics; -inf values sort first and never turn into NaN."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    if ordered[low] == ordered[high] or math.isinf(ordered[low]):
        return ordered[low]
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
