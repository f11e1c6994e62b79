"""Rows from one Arrow IPC file or stream (also what people call Feather version 2)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pyarrow as pa

from foundation.errors import DataError
from foundation.model import PluginOptions
from pipelines.data.columns import Table, from_arrow, require

_FILE_MAGIC = b"ARROW1"


class Options(PluginOptions):
    """An Arrow IPC file; a relative `path` starts from the folder of the configuration file."""

    kind: Literal["arrow"] = "arrow"
    path: str


def read(options: Options, base_dir: Path, columns: tuple[str, ...]) -> Table:
    """Returns the wanted columns, each [N, ...]. Raises `DataError` for missing or broken files, missing columns."""
    path = base_dir / options.path
    if not path.is_file():
        raise DataError(
            "The data file is missing.",
            expected=options.path,
            where="data.source.path",
            next_step="paths are relative to the configuration file; a file on this machine, not a URL",
        )
    try:
        with path.open("rb") as probe:
            is_file = probe.read(len(_FILE_MAGIC)) == _FILE_MAGIC
        with pa.OSFile(str(path), "rb") as handle:
            reader = pa.ipc.open_file(handle) if is_file else pa.ipc.open_stream(handle)
            require(columns, reader.schema.names, options.path)
            table = reader.read_all().select(list(columns))
        table.validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise DataError("The Arrow file can't be read.", found=str(error)[:200], where=options.path) from error
    return from_arrow(table, options.path)
