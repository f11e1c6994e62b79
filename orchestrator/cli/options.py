"""Options that several verbs share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path, typer.Argument(help="The configuration, a YAML file.", show_default=False)]
RunDir = Annotated[Path, typer.Argument(help="A run folder.", show_default=False)]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change one value, e.g. train.epochs=10; may be repeated."),
]
Plugins = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE", help="A file with a plug-in of your own; may be repeated."),
]
RunDirOption = Annotated[
    Path | None,
    typer.Option("--run-dir", metavar="DIR", help="The run folder; default: runs/<name>-<id> beside the file."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout; everything else goes to stderr.")]
Paranoid = Annotated[
    bool, typer.Option("--paranoid", help="Check every shard's bytes again, also those checked before.")
]
AllowQuarantine = Annotated[
    bool, typer.Option("--allow-quarantine", help="Go on when single rows had to be set aside.")
]
