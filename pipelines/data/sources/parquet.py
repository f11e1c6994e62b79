"""Rows from one Parquet file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from foundation.errors import DataError
from foundation.model import PluginOptions
from pipelines.data.columns import Table, from_arrow, require


class Options(PluginOptions):
    """A Parquet file; a relative `path` starts from the folder of the configuration file.

    Columns: numbers, text, and lists of numbers of one length. Only the declared columns are read.
    """

    kind: Literal["parquet"] = "parquet"
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
        with pq.ParquetFile(path) as file:
            require(columns, file.schema_arrow.names, options.path)
            table = file.read(columns=list(columns))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise DataError("The Parquet file can't be read.", found=str(error)[:200], where=options.path) from error
    return from_arrow(table, options.path)
