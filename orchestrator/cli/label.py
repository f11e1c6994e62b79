"""`raydistill label CONFIG`."""

from __future__ import annotations

from orchestrator.cli import driving, options

NAME = "label"


def verb(
    config: options.Config,
    set_: options.Sets = None,
    plugin: options.Plugins = None,
    run_dir: options.RunDirOption = None,
    json: options.Json = False,
    paranoid: options.Paranoid = False,
    allow_quarantine: options.AllowQuarantine = False,
) -> None:
    """All stages up to labelling. Every teacher labels `label.rows`; what is cached is not asked again."""
    driving.drive(
        config,
        "label",
        sets=set_,
        plugins=plugin,
        run_dir=run_dir,
        paranoid=paranoid,
        allow_quarantine=allow_quarantine,
    )
