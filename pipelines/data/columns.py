"""Columns between files and numpy: Arrow columns in, plain arrays out, and the checks an input column must pass.

A `Table` maps column names to arrays [N, ...]. Text columns, and numbers with nulls, are object arrays that hold None
for a null. Input columns are float32 (or text), finite, of equal shape in every row.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from foundation.errors import DataError

Table = dict[str, np.ndarray]
_EXACT_INTEGERS = 1 << 24  # float32 holds every integer up to here


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name a mistyped one most likely meant, as a sentence for `next_step`; None when nothing is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else None


def require(wanted: Iterable[str], known: Iterable[str], where: object) -> None:
    """Raises `DataError` for the first wanted column that isn't known."""
    have = list(known)
    for name in wanted:
        if name not in have:
            step = nearest(name, have) or "name a column of the source"
            raise DataError(
                "A column is missing.", expected=repr(name), found=", ".join(have), where=where, next_step=step
            )


def from_arrow(table: pa.Table, where: object) -> Table:
    """Returns the columns of an Arrow table as numpy. Raises `DataError` on anything but numbers, text, lists."""
    return {
        name: _array(table.column(name).combine_chunks(), f"column {name!r} of {where}") for name in table.schema.names
    }


def _array(column: Any, where: str) -> np.ndarray:
    if isinstance(column, pa.ChunkedArray):  # combine_chunks keeps a zero-chunk column chunked
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _array(column.dictionary_decode(), where)
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _matrix(column, where)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        return _objects(column.to_pylist())
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        if column.null_count:
            return _objects(column.to_pylist())
        return np.array(column.to_numpy(zero_copy_only=False))
    raise DataError(
        "A column has a type that isn't read.", expected="numbers, text, or lists of numbers", found=kind, where=where
    )


def _matrix(column: Any, where: str) -> np.ndarray:
    """A list column as [N, D, ...]; every row must have the same length."""
    if column.null_count:
        row = int(np.flatnonzero(np.asarray(column.is_null()))[0])
        raise DataError("A list column has a null row.", found=f"null in row {row}", where=where)
    lengths = np.array([len(item) for item in column]) if not pa.types.is_fixed_size_list(column.type) else None
    if lengths is not None and len(lengths) and (lengths != lengths[0]).any():
        row = int(np.flatnonzero(lengths != lengths[0])[0])
        raise DataError(
            "A list column is ragged.",
            expected=f"{lengths[0]} values in every row",
            found=f"{lengths[row]} values in row {row}",
            where=where,
            next_step="pad or cut the rows to one length when the file is written",
        )
    width = column.type.list_size if lengths is None else int(lengths[0]) if len(lengths) else 0
    inner = _array(column.flatten(), where)
    return inner.reshape(len(column), width, *inner.shape[1:])


def _objects(values: list[Any]) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def input_column(name: str, column: np.ndarray, ids_N: np.ndarray) -> np.ndarray:
    """Returns an input column as float32 [N, ...] (or text [N]).

    Raises `DataError` for nulls, NaN, infinities, values beyond float32 and integers float32 can't hold exactly.
    -0.0 becomes 0.0: they are equal numbers, so the rows have to be equal rows.
    """
    if column.dtype.kind in "OU":
        values = column.ravel().tolist()
        bad = next((i for i, value in enumerate(values) if value is None), None)
        if bad is not None:
            row = bad // max(1, int(np.prod(column.shape[1:])))
            raise DataError(
                "An input is null.",
                found=f"row {row} (id {ids_N[row]})",
                where=f"column {name!r}",
                next_step="fill or drop such rows when the file is written",
            )
        if any(not isinstance(value, str) for value in values):
            raise DataError("An input column mixes text with something else.", where=f"column {name!r}")
        return column.astype(object)
    if column.dtype.kind not in "biuf":
        raise DataError("An input column is neither numbers nor text.", found=column.dtype, where=f"column {name!r}")
    if column.dtype.kind in "iu" and column.size and max(abs(int(column.min())), int(column.max())) > _EXACT_INTEGERS:
        raise DataError(
            "An input column holds integers that float32 would round.",
            expected=f"at most {_EXACT_INTEGERS}",
            found=max(abs(int(column.min())), int(column.max())),
            where=f"column {name!r}",
            next_step="scale the column, or declare it as id or side",
        )
    with np.errstate(over="ignore"):
        values_N = column.astype(np.float32) + np.float32(0.0)
    good_N = (
        np.isfinite(values_N.reshape(len(values_N), -1)).all(axis=1) if values_N.size else np.ones(len(column), bool)
    )
    if not good_N.all():
        rows = np.flatnonzero(~good_N)
        raise DataError(
            "An input is not a finite number.",
            expected="finite float32 values",
            found=f"{len(rows)} rows with NaN or Inf, first row {rows[0]} (id {ids_N[rows[0]]})",
            where=f"column {name!r}",
            next_step="fill or drop these rows when the file is written",
        )
    return values_N


def texts(name: str, column: np.ndarray) -> np.ndarray:
    """Returns a column [N] of labels, ids or split values as text objects; null, NaN become None.

    Integers, and floats that are whole (files turn integers with nulls into floats), become their digits.
    """
    if column.ndim != 1:
        raise DataError(
            "This column has to hold one value per row.", found=f"shape {column.shape}", where=f"column {name!r}"
        )
    return _objects([_as_text(name, value) for value in column.tolist()])


def _as_text(name: str, value: Any) -> str | None:
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    if isinstance(value, str):
        return value
    raise DataError("A value is neither text nor a whole number.", found=repr(value)[:80], where=f"column {name!r}")
