"""`raydistill init [FILE]`: a commented configuration to start from; it passes `check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foundation.errors import ConfigError, StorageError
from orchestrator.cli import options, output

NAME = "init"


def verb(
    file: Annotated[Path, typer.Argument(help="The file to write.")] = Path("run.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    json: options.Json = False,
) -> None:
    """Write a commented configuration to start from."""
    template = Path(__file__).with_name("template.yaml").read_text(encoding="utf-8")
    try:
        with file.open("w" if force else "x", encoding="utf-8") as out:
            out.write(template)
    except FileExistsError:
        raise ConfigError("The file exists already.", where=file, next_step="give another name, or --force") from None
    except OSError as error:
        raise StorageError("The file can't be written.", found=error.strerror, where=file) from None
    output.result({"status": "written", "file": str(file)}, f"wrote {file}; next: raydistill check {file}")
