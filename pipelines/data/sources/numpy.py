"""Rows from one `.npz` file: each array is a column. Pickled (object) arrays are refused, never loaded."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Literal

import numpy as np

from foundation.errors import DataError
from foundation.model import PluginOptions
from pipelines.data.columns import Table, require


class Options(PluginOptions):
    """A `.npz` file; a relative `path` starts from the folder of the configuration file.

    numpy has no null: an empty text, or NaN in a label column of floats, means "no label".
    """

    kind: Literal["numpy"] = "numpy"
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
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise DataError("One array has no column names.", expected="a .npz file", where=options.path)
        with loaded:
            require(columns, loaded.files, options.path)
            return {name: _with_nulls(loaded[name]) for name in columns}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            "The numpy file can't be read.",
            found=str(error)[:200],
            where=options.path,
            next_step="save text as numpy text (dtype U), not as objects",
        ) from error


def _with_nulls(column: np.ndarray) -> np.ndarray:
    if column.dtype.kind != "U":
        return column
    out = column.astype(object)
    out[out == ""] = None
    return out
