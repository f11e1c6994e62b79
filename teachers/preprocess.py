"""What happens to the input columns before a teacher sees them, as data: so it can be part of the teacher's card.

x = reshape(concatenate(flatten(columns)) * scale + shift), in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import Field

from foundation.errors import DataError
from foundation.model import StrictModel
from teachers.rows import Inputs


class Preprocess(StrictModel):
    """`columns` in this order (default: all, by name), times `scale`, plus `shift` (one number, or one per value),
    each row then shaped `reshape` (without the batch axis)."""

    columns: tuple[str, ...] | None = Field(default=None, min_length=1)
    scale: float | tuple[float, ...] = 1.0
    shift: float | tuple[float, ...] = 0.0
    reshape: tuple[int, ...] | None = Field(default=None, min_length=1)

    def card(self) -> dict[str, Any]:
        """JSON form for the teacher's card."""
        return self.model_dump(mode="json")

    def apply(self, inputs: Inputs) -> np.ndarray:
        """Returns float32 [B, D] or [B, *reshape]. Raises `DataError` on missing or text columns and wrong widths."""
        flat_BD = _flatten(inputs, self.columns)
        width = flat_BD.shape[1]
        for what, value in (("scale", self.scale), ("shift", self.shift)):
            if isinstance(value, tuple) and len(value) != width:
                raise DataError(f"preprocess.{what} has the wrong length.", expected=width, found=len(value))
        out_BD = flat_BD * np.asarray(self.scale, np.float32) + np.asarray(self.shift, np.float32)
        if self.reshape is None:
            return out_BD
        if int(np.prod(self.reshape)) != width:
            raise DataError("preprocess.reshape doesn't fit.", expected=f"{width} values", found=list(self.reshape))
        return out_BD.reshape(len(out_BD), *self.reshape)


def _flatten(inputs: Mapping[str, np.ndarray], columns: tuple[str, ...] | None) -> np.ndarray:
    parts = []
    for name in columns or sorted(inputs):
        if name not in inputs:
            raise DataError("A teacher's column is not an input.", expected=", ".join(inputs), found=repr(name))
        column = np.asarray(inputs[name])
        if column.dtype.kind not in "biuf":
            raise DataError(
                "This backend takes numbers only.",
                found=f"column {name!r} of {column.dtype}",
                next_step="name the numeric columns in preprocess.columns",
            )
        parts.append(column.reshape(len(column), -1).astype(np.float32))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
