"""`raydistill schema`: the configuration's JSON schema for editors, or the reference for people."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from orchestrator.cli import options

NAME = "schema"


def verb(
    markdown: Annotated[bool, typer.Option("--markdown", help="The reference (docs/config_reference.md).")] = False,
    plugin: options.Plugins = None,
) -> None:
    """JSON schema of a configuration, for editors. With --markdown the reference for people."""
    from foundation import registry
    from orchestrator.config.reference import json_schema, markdown_reference

    for path in plugin or []:
        registry.add_guest_file(path)
    print(markdown_reference() if markdown else json.dumps(json_schema(), indent=2, ensure_ascii=False))
