"""`raydistill check CONFIG`: every problem at once, each with its place and a way out. Loads no Ray."""

from __future__ import annotations

from orchestrator.cli import options, output

NAME = "check"


def verb(
    config: options.Config,
    set_: options.Sets = None,
    plugin: options.Plugins = None,
    json: options.Json = False,
) -> None:
    """Validate a configuration. Every problem at once, each with its place and a way out."""
    from orchestrator.config.load import load_config

    loaded = load_config(config, set_ or [], plugin or [])
    identity = loaded.identity()
    facts = {"status": "ok", "name": loaded.config.name, "fingerprint": identity, "config": loaded.config.tree()}
    output.result(facts, f"{loaded.name}: ok; next: raydistill plan {loaded.name}")
