"""`raydistill run CONFIG`."""

from __future__ import annotations

from orchestrator.cli import driving, options

NAME = "run"


def verb(
    config: options.Config,
    set_: options.Sets = None,
    plugin: options.Plugins = None,
    run_dir: options.RunDirOption = None,
    json: options.Json = False,
    paranoid: options.Paranoid = False,
    allow_quarantine: options.AllowQuarantine = False,
) -> None:
    """All stages, to the report and the exported student. The same command again resumes."""
    driving.drive(
        config,
        None,
        sets=set_,
        plugins=plugin,
        run_dir=run_dir,
        paranoid=paranoid,
        allow_quarantine=allow_quarantine,
    )
