"""Which point to try next: enqueued ones first, then Optuna's TPE, which knows all that is on record. No Ray.

Trials that still run are held against their neighbourhood (constant liar), so that two at a time don't try the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from foundation.errors import ConfigError
from orchestrator.journal import Record
from pipelines.config_path import plain_copy
from pipelines.space import Scalar, Space

_LEAST = -1e6


class Sampler:
    """Optuna behind a small face. `seed` should differ between attempts, or the same points would be drawn again.

    The first `at_random` points, those told of included, are drawn without a model: enqueued baselines crowd around
    equal weights, and a model that knows nothing else never leaves that neighbourhood (measured: `docs/log.md`).
    """

    def __init__(self, space: Space, seed: int, at_random: int = 10) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            tpe = optuna.samplers.TPESampler(
                seed=seed, multivariate=True, constant_liar=True, n_startup_trials=at_random
            )
        self._study = optuna.create_study(direction="maximize", sampler=tpe)
        self._distributions = {scalar.name: _distribution(scalar) for scalar in space.scalars}
        self._running: dict[str, optuna.Trial] = {}

    def ask(self) -> tuple[str, dict[str, Any]]:
        """Returns a ticket and the values of a new point."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial = self._study.ask(self._distributions)
        ticket = str(trial.number)
        self._running[ticket] = trial
        return ticket, dict(trial.params)

    def tell(self, ticket: str | None, record: Record) -> None:
        """Takes in what became of a point. Without a ticket (enqueued, or of an earlier attempt) it needs `params`."""
        scores = [_LEAST if score is None else max(float(score), _LEAST) for score in record["scores"]]
        state = TrialState.PRUNED if record["status"] == "stopped" else TrialState.COMPLETE
        value = scores[-1] if scores else _LEAST
        if record["status"] == "failed":
            value = min([_LEAST / 10 if not self._values() else min(self._values()), value])
        if ticket is not None:
            trial = self._running.pop(ticket)
            if state is TrialState.PRUNED:
                trial.report(value, len(scores))
            self._study.tell(trial, None if state is TrialState.PRUNED else value, state=state)
            return
        params = record.get("params")
        if params is None or set(params) != set(self._distributions):
            return  # outside of what the space can say: nothing to learn from for a sampler
        try:
            told = create_trial(
                state=state,
                params=params,
                distributions=self._distributions,
                value=None if state is TrialState.PRUNED else value,
                intermediate_values={len(scores): value} if state is TrialState.PRUNED else None,
            )
        except ValueError:
            return
        self._study.add_trial(told)

    def _values(self) -> list[float]:
        done = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return [trial.value for trial in done if trial.value is not None]


def point_of(space: Space, tree: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the point at which a configuration lies, or None where the space can't express it."""
    try:
        return space.point_of(tree)
    except ConfigError:
        return None


def settings_of(space: Space, tree: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the configuration paths a point changes, with their values."""
    from pipelines.config_path import get_path

    applied = space.apply(tree, params)
    return {path: plain_copy(get_path(applied, path)) for path in space.config}


def _distribution(scalar: Scalar) -> BaseDistribution:
    if scalar.kind == "choice":
        values: Sequence[Any] = scalar.values
        return CategoricalDistribution(values)
    if scalar.kind == "int":
        return IntDistribution(int(scalar.low), int(scalar.high))
    return FloatDistribution(scalar.low, scalar.high, log=scalar.kind == "log_uniform")
