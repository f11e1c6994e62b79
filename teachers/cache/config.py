"""The `cache:` section of the configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from foundation.model import PluginOptions, StrictModel
from foundation.plugin_field import PluginField
from teachers.cache.codecs.dense import Options as Dense

Missing = Literal["error", "renormalise", "drop"]


class CacheConfig(StrictModel):
    """Where labels are kept, in which form, and what happens to rows that have none.

    Attributes:
        root: folder of the cache, relative to the configuration file.
        codec: how labels are stored; part of the key of every entry.
        unit_rows: rows labelled and stored in one go; a crash costs at most one unit per worker.
        nonfinite: what to do with NaN, infinities and values the codec can't hold.
        missing: what training does with rows a teacher has no label for.
    """

    root: str = Field(default="cache", min_length=1)
    codec: Annotated[PluginOptions, PluginField("codec")] = Dense()
    unit_rows: int = Field(default=4096, ge=1, le=1_048_576)
    nonfinite: Literal["error", "quarantine", "clip"] = "error"
    missing: Missing = "error"
