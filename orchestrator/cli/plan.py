"""`raydistill plan CONFIG`: what a run would do. Touches nothing, loads no Ray."""

from __future__ import annotations

from orchestrator.cli import options, output

NAME = "plan"


def verb(
    config: options.Config,
    set_: options.Sets = None,
    plugin: options.Plugins = None,
    json: options.Json = False,
    paranoid: options.Paranoid = False,
) -> None:
    """Tell what a run would do. Stages, units, cache hits and bytes; for a miss what differs. Touches nothing."""
    from orchestrator.config.load import load_config
    from orchestrator.plan import plan_of

    planned = plan_of(load_config(config, set_ or [], plugin or []), paranoid=paranoid)
    output.result(planned.to_json(), planned.text())
