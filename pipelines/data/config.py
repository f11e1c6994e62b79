"""What `data:` may say: where the rows come from, which columns are inputs, label, id and side, and the row sets.

Only the shape of the configuration is checked here; whether the columns and values exist is `dataset.py`'s business.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from foundation.model import PluginOptions, StrictModel
from foundation.plugin_field import PluginField
from teachers.names import ClassName

ALL = "all"  # the row set that always exists


class SplitColumn(StrictModel):
    """The column that says which part of the data a row belongs to."""

    column: str


class RowSet(StrictModel):
    """A named set of rows.

    `values`: values of the split column (absent: every row). `labelled`: true keeps rows with a label only, false
    rows without one only.
    """

    values: tuple[ClassName, ...] | None = Field(default=None, min_length=1)
    labelled: bool | None = None


class DataConfig(StrictModel):
    """The rows of a run.

    `inputs` are the columns a row's identity is made of, and all that teachers and student see. `label` holds class
    names (null = unlabelled), `id` names a row for people, `side` lists further columns that are kept. `disjoint`
    lists groups of row sets that may share no row content.
    """

    source: Annotated[PluginOptions, PluginField("source")]
    inputs: tuple[str, ...] = Field(min_length=1)
    label: str | None = None
    id: str | None = None
    side: tuple[str, ...] = ()
    classes: tuple[ClassName, ...] = Field(min_length=2)
    split: SplitColumn | None = None
    splits: dict[str, RowSet] = Field(default_factory=dict)
    disjoint: tuple[tuple[str, ...], ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column the source has to deliver, each once."""
        single = [self.label, self.id, self.split.column if self.split else None]
        return tuple(dict.fromkeys([*self.inputs, *self.side, *(name for name in single if name)]))

    @model_validator(mode="after")
    def _fits_together(self) -> DataConfig:
        for what, names in (("classes", self.classes), ("inputs", self.inputs)):
            if len(set(names)) != len(names):
                twice = sorted({name for name in names if names.count(name) > 1})
                raise ValueError(f"{what} lists {', '.join(twice)} more than once")
        outside = {self.label, self.id, *self.side, self.split.column if self.split else None}
        if shared := sorted(set(self.inputs) & {name for name in outside if name}):
            raise ValueError(f"{', '.join(shared)} is an input and also label, id, side or split column")
        for name, rows in self.splits.items():
            if rows.values and self.split is None:
                raise ValueError(f"splits.{name}.values needs split.column")
            if rows.labelled is not None and self.label is None:
                raise ValueError(f"splits.{name}.labelled needs a label column")
        known = {*self.splits, ALL}
        for group in self.disjoint:
            if unknown := [name for name in group if name not in known]:
                raise ValueError(f"disjoint names {', '.join(unknown)}; row sets are {', '.join(sorted(known))}")
        return self
