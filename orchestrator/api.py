"""The verbs for Python users: the same stages, files and errors as the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.config.load import LoadedConfig, load_config

if TYPE_CHECKING:
    from orchestrator.observe.observer import Observer
    from orchestrator.plan import Plan
    from orchestrator.run import RunResult

Source = Path | str | Mapping[str, Any] | LoadedConfig


def run(
    config: Source,
    *,
    sets: Sequence[str] = (),
    plugins: Sequence[Path | str] = (),
    base_dir: Path | str | None = None,
    run_dir: Path | str | None = None,
    quiet: bool = False,
    paranoid: bool = False,
    allow_quarantine: bool = False,
    until: str | None = None,
) -> RunResult:
    """Runs all stages; the same call again resumes.

    Args:
        config: a YAML file, a mapping of the same form, or what `load_config` returned.
        sets: changes such as `train.epochs=10`.
        plugins: files with plug-ins of your own.
        base_dir: where relative paths of a mapping start; default: the working directory.
        run_dir: the run folder; default: `runs/<name>-<id>` beside the configuration.
        quiet: show no progress.
        paranoid: check every cached byte again.
        allow_quarantine: go on when single rows had to be set aside.
        until: the last stage to run.

    Raises:
        RaydistillError: see `raydistill.errors`; a stopped run raises `StoppedError`.
    """
    from orchestrator.observe.observer import Observer
    from orchestrator.observe.screen import SilentScreen
    from orchestrator.run import run as run_stages
    from orchestrator.stop import StopRequest

    loaded = _loaded(config, sets, plugins, base_dir)
    observer: Observer
    with StopRequest() as stop, Observer(screen=SilentScreen() if quiet else None) as observer:
        return run_stages(
            loaded,
            until=until,
            run_dir=None if run_dir is None else Path(run_dir),
            observer=observer,
            stop=stop,
            allow_quarantine=allow_quarantine,
            paranoid=paranoid,
        )


def label(config: Source, **options: Any) -> RunResult:
    """Teachers to cache. Options as for `run`."""
    return run(config, **{**options, "until": "label"})


def search(config: Source, **options: Any) -> RunResult:
    """All stages up to the search. Options as for `run`."""
    return run(config, **{**options, "until": "search"})


def train(config: Source, **options: Any) -> RunResult:
    """All stages up to training. Options as for `run`."""
    return run(config, **{**options, "until": "train"})


def plan(
    config: Source,
    *,
    sets: Sequence[str] = (),
    plugins: Sequence[Path | str] = (),
    base_dir: Path | str | None = None,
    paranoid: bool = False,
) -> Plan:
    """Returns what a run would do; touches nothing."""
    from orchestrator.plan import plan_of

    return plan_of(_loaded(config, sets, plugins, base_dir), paranoid=paranoid)


def _loaded(
    config: Source, sets: Sequence[str], plugins: Sequence[Path | str], base_dir: Path | str | None
) -> LoadedConfig:
    if isinstance(config, LoadedConfig):
        return config
    return load_config(config, sets, plugins, base_dir=None if base_dir is None else Path(base_dir))
