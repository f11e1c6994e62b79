"""`raydistill search CONFIG`."""

from __future__ import annotations

from orchestrator.cli import driving, options

NAME = "search"


def verb(
    config: options.Config,
    set_: options.Sets = None,
    plugin: options.Plugins = None,
    run_dir: options.RunDirOption = None,
    json: options.Json = False,
    paranoid: options.Paranoid = False,
    allow_quarantine: options.AllowQuarantine = False,
) -> None:
    """All stages up to the search. Tries what `search.space` says, on cached labels."""
    driving.drive(
        config,
        "search",
        sets=set_,
        plugins=plugin,
        run_dir=run_dir,
        paranoid=paranoid,
        allow_quarantine=allow_quarantine,
    )
