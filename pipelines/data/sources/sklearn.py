"""Rows of a data set that comes with scikit-learn: nothing is downloaded.

Columns: `features` [N, D], `label` (class name), `row` (id) and, when `shares` is given, `split`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from foundation.model import PluginOptions
from pipelines.data.columns import Table, input_column, require
from teachers.row_keys import row_keys, to_hex


class Options(PluginOptions):
    """A bundled data set by name.

    `shares` divides the rows at random (by `seed`) into parts of a `split` column, e.g. `{train: 0.7, test: 0.3}`;
    rows of equal content always fall into the same part.
    """

    kind: Literal["sklearn"] = "sklearn"
    name: Literal["digits", "wine", "breast_cancer", "iris"]
    shares: dict[str, float] | None = Field(default=None, min_length=1)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _adds_up(self) -> Options:
        if self.shares and (min(self.shares.values()) <= 0 or abs(sum(self.shares.values()) - 1) > 1e-6):
            raise ValueError("shares have to be positive and add up to 1")
        return self


def read(options: Options, base_dir: Path, columns: tuple[str, ...]) -> Table:
    """Returns the wanted columns. Raises `DataError` for columns the data set doesn't have."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{options.name}")()
    names = [str(name) for name in bunch.target_names]
    table: Table = {
        "features": np.asarray(bunch.data, dtype=np.float32),
        "label": np.array([names[int(target)] for target in bunch.target], dtype=object),
        "row": np.arange(len(bunch.target), dtype=np.int64),
    }
    if options.shares:
        table["split"] = _parts(table, options.shares, options.seed)
    require(columns, table, f"scikit-learn's {options.name}")
    return {name: table[name] for name in columns}


def _parts(table: Table, shares: dict[str, float], seed: int) -> np.ndarray:
    keys = to_hex(row_keys({"features": input_column("features", table["features"], table["row"])}))
    contents = sorted(set(keys))
    order = np.random.Generator(np.random.Philox(seed)).permutation(len(contents))
    ends = np.round(np.cumsum(list(shares.values())) * len(contents)).astype(int)
    part_of = np.searchsorted(ends, order, side="right")
    names = list(shares)
    lookup = {key: names[min(int(part_of[i]), len(names) - 1)] for i, key in enumerate(contents)}
    return np.array([lookup[key] for key in keys], dtype=object)
